"""Files that are no checkpoint, or one of another format: what is read, and what the message says."""

import argparse
import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import tarfile
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file, save_model

from darts_pl import interop
from darts_pl.errors import UserError

PAGE = "<!DOCTYPE html><html><head><title>Google Drive - Virus scan&amp;warning</title></head><body>..</body></html>"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 13357245\n"


def zipped(*names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return content.getvalue()


def tarred():
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pt"))
    return content.getvalue()


def arrays():
    content = io.BytesIO()
    np.savez(content, a=np.ones(3))
    return content.getvalue()


def script():
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch advises against the format
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), content)
    return content.getvalue()


FOREIGN = {
    "page": (PAGE.encode(), "is a web page (HTML) titled 'Google Drive - Virus scan&warning', not a checkpoint"),
    "page_without_type": (b"\n\n  <html lang=en>\n<p>Sign in</p>", "is a web page (HTML), not a checkpoint"),
    "page_behind_comment": (b"<!-- saved --><HTML><HEAD></HEAD>", "is a web page (HTML), not"),
    "page_with_mark": (b"\xef\xbb\xbf" + PAGE.encode(), "is a web page (HTML) titled"),
    "page_in_utf16": (PAGE.encode("utf-16"), "is a web page (HTML) titled"),
    "page_in_latin": (
        f"<html><title>T\xe9l\xe9chargement</title>{'x' * 300}".encode("latin-1"),
        "is a web page (HTML)",
    ),
    "long_page": (f"<!doctype html><title>404</title>{'é' * 9000}".encode(), "is a web page (HTML) titled '404'"),
    "page_with_headers": (b"HTTP/1.1 403 Forbidden\r\n\r\n" + PAGE.encode(), "is a web page (HTML) titled"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", 'XML text that begins "<?xml'),
    "lfs": (POINTER.encode(), "is a Git LFS pointer, not the file that it points to; run 'git lfs pull'"),
    "old_lfs": (POINTER.replace("git-lfs", "hawser").encode(), "is a Git LFS pointer"),
    "annex": (b"/annex/objects/SHA256E-s9--ab.pt\n", "is a git-annex pointer"),
    "dvc": (b"outs:\n- md5: ab\n  path: w.pt\n", "is a DVC pointer"),
    "json": (b'{"message": "Not Found", "status": 404}', "is a JSON text that says 'Not Found'"),
    "json_detail": (b'\n{"detail": "rate limit"}\n', "is a JSON text that says 'rate limit'"),
    "json_list": (b"[1, 2]", "is a JSON text that begins '[1, 2]'"),
    "json_long": (b'{"weight_map": {' + b'"a": "b",' * 900, 'is a JSON text that begins \'{"weight_map"'),
    "empty": (b"", "is empty; download"),
    "zeros": (bytes(5000), "filled with zero bytes"),
    "text": (b"no checkpoint", "is a text that begins 'no checkpoint'"),
    "gzip": (gzip.compress(b"x"), "compressed with gzip"),
    "bzip2": (bz2.compress(b"x"), "compressed with bzip2"),
    "xz": (lzma.compress(b"x"), "compressed with xz"),
    "tar": (tarred(), "a tar archive"),
    "zip": (zipped("a.txt", "b.txt"), "a zip archive (with 'a.txt, b.txt'), not a checkpoint"),
    "npz": (arrays(), "a zip archive of NumPy arrays"),
    "npy": (b"\x93NUMPY\x01\x00", "a NumPy array"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file"),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_a_file_that_is_no_checkpoint_is_called_what_it_is(case, name, ending, tmp_path):
    content, meaning = FOREIGN[name]
    path = tmp_path / f"file.{ending}"
    path.write_bytes(content)
    assert meaning in case.message(path)


def test_what_is_no_file_is_refused(case, tmp_path):
    assert "is a folder" in case.message(tmp_path)
    assert "no such file" in case.message(tmp_path / "nowhere.pt")
    assert "File name too long" in case.message(tmp_path / ("x" * 300))
    os.mkfifo(tmp_path / "pipe")
    assert "no such file" in case.message(tmp_path / "pipe")


@pytest.mark.parametrize("form", [{}, {"_use_new_zipfile_serialization": False}])
def test_both_formats_of_torch_are_read_and_cut_files_are_refused(case, form, saved):
    path = saved({"state_dict": case.state}, **form)
    assert case.loads(path)
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 700):
        path.write_bytes(whole[:length])
        message = case.message(path)
        assert "cut off" in message or "damaged" in message


def test_a_changed_bit_in_the_weights_is_noticed(case, saved):
    path = saved(case.state)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entry = max(archive.infolist(), key=lambda entry: entry.file_size)
    place = whole.index(archive.open(entry.filename).read()) if archive.fp else entry.header_offset + 200
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert "checksum" in case.message(path)


@pytest.mark.parametrize("wrapped", ["", "module.", "model._orig_mod."])
def test_safetensors_are_read(case, wrapped, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({wrapped + name: value.clone() for name, value in case.state.items()}, path, metadata={"format": "pt"})
    assert case.loads(path)
    path = path.rename(tmp_path / "model.bin")  # the content decides, not the name
    assert case.loads(path)


def test_safetensors_of_a_module_with_tied_words_are_read(words, tmp_path):
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = torch.nn.Embedding(7, 4), torch.nn.Linear(4, 7)
            self.rnns = torch.nn.ModuleList([torch.nn.Module()])
            self.rnns[0]._W0 = torch.nn.Parameter(words.state["rnns.0._W0"])
            self.rnns[0]._Ws = torch.nn.ParameterList([words.state[f"rnns.0._Ws.{i}"] for i in (0, 1)])
            self.encoder.weight = self.decoder.weight = torch.nn.Parameter(words.state["encoder.weight"])
            self.decoder.bias = torch.nn.Parameter(words.state["decoder.bias"])

    save_model(Tied(), str(tmp_path / "tied.safetensors"))
    assert words.loads(tmp_path / "tied.safetensors")


def test_damaged_safetensors_are_refused(case, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({name: value.clone() for name, value in case.state.items()}, path)
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    for content in (whole[:-1], whole[: len(whole) // 2], whole[:20], whole.replace(b'"F32"', b'"X32"', 1)):
        path.write_bytes(content)
        assert "a damaged safetensors file" in case.message(path)
    path.write_bytes(whole[:8] + b"{" * length + whole[8 + length :])
    assert "a damaged safetensors file" in case.message(path)


class Code:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", [{}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}])
@pytest.mark.parametrize("place", ["top", "state_dict", "beside", "deep"])
def test_a_checkpoint_that_contains_executable_code_is_rejected_and_does_not_run(case, form, place, tmp_path, saved):
    code = Code(tmp_path / "ran")
    found = {
        "top": code,
        "state_dict": {"state_dict": code},
        "beside": {"state_dict": case.state, "args": code},
        "deep": {"model": {"module.x": [code]}},
    }[place]
    assert "executable code" in case.message(saved(found, **form))
    assert not (tmp_path / "ran").exists()


def test_the_object_that_is_not_loaded_is_named_with_the_way_to_save_without_it(case, saved, tmp_path):
    for found, name in (
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"state_dict": case.state, "args": argparse.Namespace(lr=1)}, "argparse.Namespace"),
        ({"state_dict": case.state, "path": tmp_path}, "pathlib"),
    ):
        message = case.message(saved(found))
        assert f"contains executable code ({name}" in message
        assert "torch.save(model.state_dict(), FILE)" in message
    path = tmp_path / "other.pt"
    for content in (pickle.dumps(Code(tmp_path / "ran")), pickle.dumps(case.state), script()):
        path.write_bytes(content)
        assert "executable code" in case.message(path)
    assert not (tmp_path / "ran").exists()


def test_other_values_than_a_state_dict_are_refused(case, saved):
    for found, kind in (([1, 2], "list"), (torch.ones(2), "Tensor"), ("text", "str")):
        assert f"holds a {kind}, not a state dict" in case.message(saved(found))
    for found in ({}, {"state_dict": {"a": 1}}, {"state_dict": "gone"}, json.loads(json.dumps({"model": {}}))):
        assert "holds no state dict" in case.message(saved(found))


def test_reading_returns_what_was_saved(saved):
    found = {"epoch": 3, "state_dict": {"a": torch.arange(3)}, "names": ["x", None, 1.5]}
    again = interop.read(saved(found))
    assert torch.equal(again["state_dict"]["a"], torch.arange(3))
    assert (again["epoch"], again["names"]) == (3, ["x", None, 1.5])
    with pytest.raises(UserError, match="no such file"):
        interop.read(saved(found).with_name("other"))
