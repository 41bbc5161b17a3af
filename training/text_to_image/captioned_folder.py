"""Folders of pictures with captions, in the layouts in which such data sets come."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from host.progress import ProgressBar
from training.images.folder import decode_picture, list_pictures
from training.text_to_image.captioned import CaptionedImages

_IMAGES = ("", "images", "Images", "Flicker8k_Dataset")
_NAME_KEYS, _TEXT_KEYS = ("file_name", "image", "filename"), ("text", "caption")
_COCO = "captions_"
LAYOUTS = (
    "captions.txt (image,caption), *.token.txt (image#0, tab, caption), metadata.jsonl or captions.jsonl (file_name, "
    "text), annotations/captions_<part>.json beside <part>/, text/<class>/*.txt beside images/<class>/, or a .txt "
    "beside each picture"
)


def load_captioned_folder(folder: Path, resolution: int) -> CaptionedImages:
    """Read pictures as squares of `resolution` pixels, each with all its captions, in the order of their names.

    Source of the layouts: Flickr8k (Hodosh et al. 2013) as published and as on Kaggle, Hugging Face's imagefolder,
    COCO's captions (Chen et al. 2015), whose parts are put together, those of CUB by Reed et al. 2016, and a text file
    for each picture as WebDataset names them.

    Raises:
        FileNotFoundError: no such folder, or a picture that has a caption is not there.
        ValueError: the folder has no captions, or a line of them or a picture cannot be read.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"folder:{folder} is no folder; expected pictures with {LAYOUTS}")
    captions: dict[Path, list[str]] = defaultdict(list)
    for name, caption in _read_captions(folder):
        if caption.strip():
            captions[_find_picture(folder, name)].append(caption.strip())
    if not captions:
        raise ValueError(f"{folder} has no captions; expected {LAYOUTS}")
    paths = sorted(captions)
    images = np.empty((len(paths), resolution, resolution, 3), np.uint8)
    with ProgressBar(f"decoding {folder.name}", len(paths)) as bar:
        for row, path in enumerate(paths):
            images[row] = decode_picture(path, resolution)
            bar.advance()
    return CaptionedImages(images=torch.from_numpy(images), captions=tuple(tuple(captions[path]) for path in paths))


def _read_captions(folder: Path) -> Iterator[tuple[str, str]]:
    """Names of pictures with their captions, from the first layout that the folder has."""
    for name in ("metadata.jsonl", "captions.jsonl"):
        if (folder / name).is_file():
            return _read_json_lines(folder / name)
    if (folder / "captions.txt").is_file():
        return _read_table(folder / "captions.txt")
    if tokens := sorted(folder.rglob("*.token.txt")):
        return _read_tokens(tokens[0])
    if files := _find_parts(folder):
        return (caption for file, part in files for caption in _read_part(file, part))
    return _read_text_files(folder)


def _read_json_lines(file: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip():
            continue
        content = json.loads(line)
        name = next((content[key] for key in _NAME_KEYS if key in content), None)
        texts = next((content[key] for key in _TEXT_KEYS if key in content), None)
        if name is None or texts is None:
            raise ValueError(f"{file}, line {number}: expected file_name and text, got {', '.join(content)}")
        yield from ((name, text) for text in ([texts] if isinstance(texts, str) else texts))


def _read_table(file: Path) -> Iterator[tuple[str, str]]:
    with file.open(newline="") as lines:
        for number, row in enumerate(csv.reader(lines), 1):
            if len(row) < 2:
                raise ValueError(f"{file}, line {number}: expected image,caption, got {','.join(row)!r}")
            if number > 1 or row[0].lower() not in _NAME_KEYS:
                yield row[0], ",".join(row[1:])


def _read_tokens(file: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(file.read_text().splitlines(), 1):
        name, tab, caption = line.partition("\t")
        if line.strip() and not tab:
            raise ValueError(f"{file}, line {number}: expected image#0, a tab and a caption, got {line!r}")
        yield name.partition("#")[0], caption


def _find_parts(folder: Path) -> list[tuple[Path, Path]]:
    """COCO's files of captions with the folders of their pictures: those parts that are there."""
    found = []
    for file in sorted((folder / "annotations").glob(f"{_COCO}*.json")):
        part = file.stem.removeprefix(_COCO)
        found += [(file, place) for place in (Path(part), Path("images") / part) if (folder / place).is_dir()]
    return found


def _read_part(file: Path, part: Path) -> Iterator[tuple[str, str]]:
    content = json.loads(file.read_text())
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        raise ValueError(f"{file}: expected an object of images (id, file_name) and annotations (image_id, caption)")
    names = {image["id"]: image["file_name"] for image in content["images"]}
    for annotation in content["annotations"]:
        if annotation["image_id"] not in names:
            raise ValueError(f"{file}: a caption is of image_id {annotation['image_id']}, which images does not list")
        yield str(part / names[annotation["image_id"]]), annotation["caption"]


def _read_text_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Texts that lie in `text` as their pictures do in `images`, or beside their pictures; a caption in each line."""
    pictures, texts = (folder / "images", folder / "text") if (folder / "text").is_dir() else (folder, folder)
    for picture in list_pictures(pictures):
        file = (texts / picture.relative_to(pictures)).with_suffix(".txt")
        lines: Iterable[str] = file.read_text().splitlines() if file.is_file() else ()
        yield from ((str(picture.relative_to(folder)), line) for line in lines)


def _find_picture(folder: Path, name: str) -> Path:
    for place in _IMAGES:
        if (folder / place / name).is_file():
            return folder / place / name
    raise FileNotFoundError(f"{folder} has a caption of {name}, but no such picture")
