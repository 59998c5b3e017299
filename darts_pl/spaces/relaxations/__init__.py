"""Relaxations of later methods: hard Gumbel-softmax, Dirichlet."""
