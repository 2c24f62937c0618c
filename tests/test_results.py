"""Kept results: written whole from a checkout, read anywhere, with where they come from."""

import datetime
import html.parser
import json
import math
import platform
import socket
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from companion import storage
from companion.book import results

COMMAND = "python tools/keep.py part/demo --size full"
RUN = {"size": "full", "command": COMMAND}
VALUES = {"auc": 0.875, "steps": [1, 2, None], "by": {"trained": [0.5, 1.5]}, "note": "a < b"}


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "_folder", lambda: tmp_path)
    monkeypatch.setattr(storage, "checkout", lambda: tmp_path)
    return tmp_path


def test_what_is_kept_is_read_back(folder):
    written = results.keep("demo", VALUES, **RUN)
    read = results.kept("demo")
    assert read == written
    assert read.values == VALUES
    assert (read.name, read.size, read.command) == ("demo", "full", COMMAND)
    assert [file.name for file in folder.iterdir()] == ["demo.json"]
    with pytest.raises(FrozenInstanceError):
        read.date = "today"


def test_machine_versions_and_date_are_those_of_the_run(folder):
    kept = results.keep("demo", VALUES, **RUN)
    assert kept.versions == {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    assert kept.machine["threads"] == torch.get_num_threads()
    assert kept.machine["processor"] and kept.machine["cores"] >= 1
    assert datetime.date.fromisoformat(kept.date) <= datetime.date.today()


def test_neither_the_machines_name_nor_a_path_is_kept(folder):
    results.keep("demo", VALUES, **RUN)
    text = (folder / "demo.json").read_text(encoding="utf-8")
    assert socket.gethostname() not in text and str(folder) not in text
    assert list(json.loads(text)["machine"]) == ["processor", "cores", "threads", "accelerator"]


def test_the_processor_is_named_where_the_system_has_no_file_for_it(monkeypatch):
    def missing(*args, **kwargs):
        raise FileNotFoundError

    monkeypatch.setattr(results.Path, "read_text", missing)
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert results._processor() == platform.machine()


def test_a_tuple_becomes_a_list(folder):
    assert results.keep("demo", {"a": (1, 2)}, **RUN).values == {"a": [1, 2]}


def test_a_newer_result_replaces_the_older(folder):
    results.keep("demo", {"a": 1}, **RUN)
    results.keep("demo", {"a": 2}, **RUN)
    assert results.kept("demo").values == {"a": 2}


def test_a_failed_write_leaves_the_older_result(folder, monkeypatch):
    results.keep("demo", {"a": 1}, **RUN)

    def full(self, *args, **kwargs):
        self.write_bytes(b"{")
        raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space left"):
        patch.setattr(results.Path, "write_text", full)
        results.keep("demo", {"a": 2}, **RUN)
    assert results.kept("demo").values == {"a": 1}
    assert [file.name for file in folder.iterdir()] == ["demo.json"]


def test_it_prints_where_it_comes_from(folder):
    kept = results.keep("demo", VALUES, **RUN)
    text = str(kept)
    assert text.startswith("kept result demo: auc, steps, by, note\n")
    for part in ("size: full", f"torch {torch.__version__}", kept.date, COMMAND, "threads used: "):
        assert part in text

    class Printer:
        def text(self, shown):
            self.shown = shown

    kept._repr_pretty_(printer := Printer(), cycle=False)
    assert printer.shown == text


class Table(html.parser.HTMLParser):
    def __init__(self, source):
        super().__init__()
        self.open, self.text, self.tags, self.looks = [], [], [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append((tag, dict(attrs).get("scope")))
        self.looks += [dict(attrs).get("style")] * (tag in ("th", "td"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_its_html_is_a_table_with_values_and_origin(folder):
    many = {"many": [0.123456] * 10, "claims": {str(k): {"a": k, "b": {}} for k in range(7)}}
    values = VALUES | many
    kept = results.keep("demo", values, **RUN)
    table = Table(kept._repr_html_())
    assert table.text[0].startswith("Kept result demo: not computed on this page")
    cells = dict(zip(table.text[1::2], table.text[2::2], strict=True))
    # JupyterLab sets each cell to the right, so what the table says is not heard there.
    assert set(table.looks) == {"text-align: left; vertical-align: top"}
    assert cells["note"] == "a < b"
    assert cells["auc"] == "0.875"
    assert cells["by"] == "{trained: 0.5, 1.5}"
    assert cells["many"].endswith("0.1235, … (10 in all)")
    assert cells["claims"].startswith("{0: {a, b}, 1: {a, b}, ")
    assert cells["claims"].endswith(", 5: {a, b}, … (7 in all)}")
    assert (cells["size"], cells["command"]) == ("full", COMMAND)
    assert ("caption", None) in table.tags and ("th", "row") in table.tags


def test_the_sentence_for_a_missing_result_lists_those_there_are(folder):
    with pytest.raises(FileNotFoundError, match="^there is no kept result 'x', only these: none"):
        results.kept("x")
    results.keep("b", {"a": 1}, **RUN)
    results.keep("a", {"a": 1}, **RUN)
    with pytest.raises(FileNotFoundError, match="^there is no kept result 'x', only these: a, b;"):
        results.kept("x")


@pytest.mark.parametrize(
    "text, reason",
    [
        ('{"values": {"auc": 0.8', "JSONDecodeError"),
        ("", "JSONDecodeError"),
        ('{"size": "hour", "values": {}, "machine": {}}', "KeyError: 'versions'"),
        ('{"values": {}}', "KeyError: 'size'"),
        ("[1, 2]", "TypeError"),
        (b"\xff\xfe", "UnicodeDecodeError"),
    ],
)
def test_the_sentence_for_an_unreadable_result(folder, text, reason):
    (folder / "demo.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=f"^the kept result 'demo' cannot be read .{reason}"):
        results.kept("demo")


@pytest.mark.parametrize("name", ["../demo", "a/b", "", "demo.json", "a b"])
def test_the_sentence_for_a_malformed_name(folder, name):
    for use in (results.kept, lambda n: results.keep(n, VALUES, **RUN)):
        with pytest.raises(ValueError, match="^the name of a kept result is '.*', but it becomes"):
            use(name)


@pytest.mark.parametrize(
    "values, error, sentence",
    [
        ({"a": [0, math.nan]}, ValueError, r"values\['a'\]\[1\] is nan, but JSON has finite numb"),
        ({"a": {"b": math.inf}}, ValueError, r"values\['a'\]\['b'\] is inf, but JSON has finite"),
        ({"a": torch.ones(2)}, TypeError, r"values\['a'\] is a Tensor, but plain JSON is needed"),
        ({"a": np.float64(2)}, TypeError, r"values\['a'\] is a float64, but plain JSON is needed"),
        ({"a": {1: 2}}, TypeError, r"values\['a'\] has the key 1 \(int\), but JSON has text keys"),
        ({}, TypeError, r"values is {} \(dict\), but a dictionary that is not empty is needed"),
    ],
)
def test_sentences_for_values(folder, values, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        results.keep("demo", values, **RUN)
    assert list(folder.iterdir()) == []


def test_sentences_of_keep(folder, monkeypatch, as_a_user):
    with pytest.raises(TypeError, match=r"^values is 1, 2 \(list\), but a dictionary that is not"):
        results.keep("demo", [1, 2], **RUN)
    with pytest.raises(ValueError, match="^command is ' ', but a reader must be able to make the"):
        results.keep("demo", VALUES, size="hour", command=" ")
    with pytest.raises(ValueError, match="^size is 'day', but a run has one of three sizes: pass"):
        results.keep("demo", VALUES, size="day", command=COMMAND)
    monkeypatch.setattr(storage, "checkout", lambda: None)
    with pytest.raises(FileNotFoundError, match="^companion runs from an installed package, but "):
        results.keep("demo", VALUES, **RUN)
    assert list(folder.iterdir()) == []


def test_every_kept_result_of_the_package_can_be_read():
    for file in results._folder().glob("*.json"):
        assert results.kept(file.stem).values
