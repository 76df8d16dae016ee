"""A file that is one mapping, read into a model."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from gyrus.spec.api import Model
from gyrus.spec.faults import NoSpecification, SpecError
from gyrus.spec.model_file import LARGEST, ModelFile


class Box(Model):
    """A box."""

    size: int = Field(default=1, ge=1, le=9)
    """Its size."""
    label: str = ""
    """Its label."""


BOX = ModelFile(
    model=Box,
    example="write for example size: 2",
    is_text=lambda path: path == ("label",),
    elsewhere=lambda name: ("is gone", "remove it") if name == "width" else None,
)


def faults(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        BOX.parse(text, "box.yaml")
    return [str(fault) for fault in caught.value.faults]


def test_an_empty_file_means_the_defaults() -> None:
    assert BOX.parse("# nothing\n", "box.yaml") == Box()


def test_a_text_is_taken_as_it_is_written() -> None:
    assert BOX.parse("label: 1.50\nsize: 2\n", "box.yaml") == Box(label="1.50", size=2)
    assert BOX.parse("label: 017\n", "box.yaml") == Box(label="017")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- 1\n", "1:1: the file must be a mapping; write for example size: 2"),
        ("width: 3\n", "1:1: width: is gone; remove it"),
        ("siz: 3\n", '1:1: siz: unknown field; did you mean "size"?'),
        ("size: 10\n", "1:7: size: must be from 1 to 9, not 10"),
        ("label: yes\n", '1:8: label: must be text, not the boolean yes; put it in quotes: "yes"'),
        ('label: "a\\x07"\n', "1:8: label: the text has a control character, \\x07; remove it"),
    ],
)
def test_a_fault_has_its_place_and_its_remedy(text: str, fault: str) -> None:
    assert faults(text) == [f"box.yaml:{fault}"]


def test_a_doubtful_number_is_reported_once() -> None:
    [fault] = faults("size: 017\n")
    assert fault.startswith("box.yaml:1:7: size: ")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "box.yaml"
    with pytest.raises(NoSpecification, match="there is no file"):
        BOX.load(file)
    file.write_text("size: 2\n" + "#" * LARGEST)
    with pytest.raises(SpecError, match=r"has more than 1,048,576 bytes; is it the right file\?"):
        BOX.load(file)
