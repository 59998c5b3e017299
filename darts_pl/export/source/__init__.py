"""format=source: one readable Python file that builds a trained network in plain PyTorch, without this package.

`blocks` holds the text of the modules that are copied into the file, `code` lays out statements, and one file per kind
of network writes the rest: `convolutional`, `nasbench201`, `recurrent`. `writer` puts the file together.
"""
