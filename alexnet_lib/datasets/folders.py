"""Folders of one's own: which images there are, of which class, in which split, and what was left.

What is guessed about a folder, and what is left out of it, is written into the notes of its
`Listing`. What cannot be guessed safely is refused.
"""

import contextlib
import csv
import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet_lib.errors import UserError

from .images import begins_like_an_image, suffixes

# The ten classes of Imagenette, which are stored under their WordNet numbers.
IMAGENETTE = {
    "n01440764": "tench", "n02102040": "English springer", "n02979186": "cassette player",
    "n03000684": "chain saw", "n03028079": "church", "n03394916": "French horn",
    "n03417042": "garbage truck", "n03425413": "gas pump", "n03445777": "golf ball",
    "n03888257": "parachute",
}
# Words in the names of folders that hold a split. A folder with the plain name comes first.
SPLIT_WORDS = {
    "train": ("train", "training", "trainset", "trainingset"),
    "val": ("val", "valid", "validation", "valset", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "testset"),
}
PLAIN = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}
IMAGE_FOLDERS = ("images", "image", "imgs", "img")  # one that stands for the folder it lies in
LABEL_WORDS = ("label", "labels", "class", "category", "target", "breed", "species", "tag")
LISTS = (".csv", ".tsv", ".txt")
LIST_BYTES = 1 << 27  # a longer file is no list of labels
# Endings of photographs that may be unreadable here; other endings are simply no images.
PHOTOGRAPHS = (".heic", ".heif", ".hif", ".avif", ".webp", ".jp2", ".dng", ".cr2", ".cr3", ".nef",
               ".arw", ".raw")
ODD_ENDING = re.compile(r"(\.(?:jpe?g|png|gif|webp|tiff?))[^a-z0-9.~].*")  # .jpg_large, .jpg!d

Classes = dict[str, list[Path]]  # the images of each class, by its name


@dataclass(frozen=True)
class Listing:
    """Image files of a source: for each split, (paths, labels); the class names; and notes.

    notes: lines for the user about what was found, guessed and left out.
    """

    classes: tuple[str, ...]
    splits: dict[str, tuple[list[Path], np.ndarray]]
    notes: tuple[str, ...] = ()


class Skipped:
    """Counts the files that were looked at, and those that were left out, by reason."""

    def __init__(self):
        self.seen, self.reasons = 0, Counter[str]()

    def add(self, reason: str, count: int = 1) -> None:
        self.reasons[reason] += count

    def why(self, most: int = 6) -> str:
        """The reasons with their counts, the most frequent first."""
        told = [f"{count} {reason}" for reason, count in self.reasons.most_common(most)]
        rest = sum(self.reasons.values()) - sum(n for _, n in self.reasons.most_common(most))
        return ", ".join(told + [f"{rest} others"] * (rest > 0))

    def notes(self) -> list[str]:
        """A line about them, if there are any."""
        count = sum(self.reasons.values())
        return [f"{count:,} of {self.seen:,} files skipped: {self.why()}"] if count else []


def list_folder(path: str | Path, seed: int = 0) -> Listing:
    """The images of a folder to train on, in one of these layouts.

    PATH/<class>/*; PATH/{train,val,test}/<class>/*, also under similar names; either with the
    images side by side and a list of their labels (.csv, .tsv, .txt) instead of class folders.

    Without a validation split, one is held out of the training images by `seed`: 15% of a flat
    folder, 10% where there is a test split. Raises UserError for a folder that cannot be
    understood, or that cannot be trained on.
    """
    root, splits, aside, notes = _find_splits(_root(path))
    skipped = Skipped()
    flat = not splits
    if flat:
        splits = {"train": root}
    elif "train" not in splits:
        raise UserError(f"{root} has {', '.join(splits)} but no train folder: add "
                        f"{root / 'train'}/<class>/ with the training images")
    train = _labeled(splits["train"], root, skipped, notes, aside)
    if train is None:
        other = "" if flat else "; if it is a class, rename it"
        raise UserError(_no_classes(splits["train"]) + other)
    _check_to_train(train, splits["train"])
    classes, found = tuple(train), {"train": numbered(train, tuple(train))}
    for name in ("val", "test"):
        if name in splits:
            given = _labeled(splits[name], root, skipped, notes, known=classes)
            if (images := _held_against(given, splits[name], name, classes, notes)) is not None:
                found[name] = images
    if "val" not in found:
        found = hold_out(found, 0.15 if flat else 0.10, seed, classes)
        notes.append(f"val is held out of {'the images' if flat else 'train'}")
    return Listing(classes, found, tuple(_told(classes, found) + notes + skipped.notes()))


def list_to_measure(path: str | Path, split: str | None, known: tuple[str, ...] | None = None,
                    learned_here: bool = False) -> tuple[Listing, str]:
    """(images of a folder to measure a net on, the split to measure).

    split: None is "val"; of a folder without train and val, the split that there is; of a flat
    one "all" its images, unless the net has learned here: then those that training held out.
    known: the net's classes, which become those of the listing; by default those that are found.
    Some of them, with a single image each, are enough. Raises UserError.
    """
    root, splits, aside, notes = _find_splits(_root(path), known or ())
    there = splits or {"all": root}
    if split is None:
        split = "val" if learned_here or {"train", "val"} & set(splits) else next(iter(there))
    if split != "all":
        with contextlib.suppress(UserError):  # if it cannot be trained on, it can be measured
            whole = list_folder(path)
            if split in whole.splits and known in (None, whole.classes):
                return whole, split  # as training has packed it
    if split not in there:
        raise UserError(f"{root} has no split {split!r}: use one of {', '.join(there)}")
    skipped = Skipped()
    found = _labeled(there[split], root, skipped, notes, aside, known or ())
    if found is None:
        raise UserError(f"{_no_classes(there[split])}; images without labels are for alexnet "
                        "predict")
    found = {name: paths for name, paths in found.items() if paths}
    if not found:
        raise UserError(f"no images in the class folders of {there[split]}{_because(skipped)}")
    classes = known or tuple(found)
    if unknown := [name for name in found if name not in classes]:
        raise UserError(f"the net does not know {_some(unknown, 5)}, in {there[split]}: its "
                        f"classes are {_some(classes, 5)}; rename or remove the folders")
    if len(found) < len(classes):
        notes.append(f"{len(found)} of the net's {len(classes)} classes have images here")
    elif split == "all" and known:
        notes.append("if the net was trained on some of these images, its error looks lower than "
                     "it is: --split val takes those that training holds out")
    images = {split: numbered(found, classes)}
    notes = [*_told(tuple(found), images), *notes, *skipped.notes()]
    return Listing(classes, images, tuple(notes)), split


def _root(path: str | Path) -> Path:
    root = Path(os.path.expanduser(path)).resolve()
    if not root.is_dir():
        raise UserError(f"no folder {root}: check the path after folder:")
    return root


def images_named(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """(the image files that these names stand for, notes): files, folders and wildcards.

    Raises UserError for an address, a folder without images, a wildcard that nothing matches.
    """
    found, skipped = [], Skipped()
    for name in names:
        if re.match("[A-Za-z]{2,}://", name):
            raise UserError(f"{name} is an address: download the image, and give its file")
        if os.path.isdir(name):
            inside = sorted(map(str, images_below(name, skipped)))
        elif os.path.lexists(name) or not glob.has_magic(name):
            inside = [name]
        else:  # as the shells of Windows leave it
            inside = sorted(glob.glob(name))
        if not inside:
            raise UserError(f"no images in {name}{_because(skipped)}: check the path"
                            if os.path.isdir(name) else f"no file matches {name}: check the path")
        found += inside
    return list(dict.fromkeys(found)), skipped.notes()


def same(one: str, other: str) -> bool:
    """Whether two paths name the same folder."""
    return len({Path(os.path.expanduser(path)).resolve() for path in (one, other)}) == 1


def _told(classes: tuple[str, ...], splits: dict) -> list[str]:
    sizes = ", ".join(f"{name} {len(paths):,}" for name, (paths, _) in splits.items())
    return [f"{len(classes)} class{'es' if len(classes) > 1 else ''} ({_some(classes)}); images: "
            f"{sizes}"]


def _some(names, most: int = 10) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _because(skipped: Skipped) -> str:
    return f" (skipped: {skipped.why()})" if skipped.reasons else ""


def _no_classes(folder: Path) -> str:
    return (f"no class folders in {folder}: put the images in {folder}/<class>/, or add a list of "
            f"their labels ({folder}/labels.csv, with lines of file,label)")


# Where the splits are.

def _find_splits(root: Path, known=()) -> tuple[Path, dict[str, Path], list[Path], list[str]]:
    """(root, the folder of each split, folders that are no classes, notes).

    No splits: a flat folder. known: names that are classes, whatever they sound like.
    """
    folders, notes = _subfolders(root), []
    sound = {f: None if f.name in known else _sounds_like(f.name) for f in folders}
    kinds = set(sound.values()) - {None}
    if len(folders) == 1 and not kinds:
        inner = {_sounds_like(f.name) for f in _subfolders(folders[0])} - {None}
        if len(inner) > 1:  # an archive that was unpacked into a folder of its own
            return _find_splits(folders[0], known)
    splits = _each_once(root, {f: split for f, split in sound.items() if f.name.lower() in PLAIN})
    if splits or len(folders) == 1 or len(kinds) > 1:
        others = _each_once(root, {f: split for f, split in sound.items() if split not in splits})
        notes += [f"{folder.name} is taken for {split}" for split, folder in others.items()]
        splits |= others
    else:
        notes += [f"{f.name} is taken for a class: if it is none, move it elsewhere"
                  for f, split in sound.items() if split]
    rest = [f for f in folders if f not in splits.values() and f.name not in IMAGE_FOLDERS]
    splits = {name: _inner(splits[name]) for name in SPLIT_WORDS if name in splits}
    if list(splits) == ["test"] and rest and not _subfolders(splits["test"]):
        # Class folders, and beside them images without labels.
        name = splits["test"].name
        return root, {}, [splits["test"]], [f"{name} is left aside, as it has no class folders: "
                                            "rename it if it is a class"]
    if splits and (rest := [f.name for f in rest if next(images_below(f), None)]):
        notes.append(f"left aside, as no split: {_some(rest)}")
    return root, splits, [], notes


def _each_once(root: Path, meant: dict[Path, str | None]) -> dict[str, Path]:
    """The folder of each split. Raises UserError for a split that two folders may mean."""
    splits: dict[str, Path] = {}
    for folder, split in meant.items():
        if split in splits:
            raise UserError(f"{root} has both {splits[split].name} and {folder.name} for {split}: "
                            f"keep one, and name it {split}")
        if split:
            splits[split] = folder
    return splits


def _sounds_like(name: str) -> str | None:
    """The split that a folder's name speaks of, if it is one alone."""
    words = re.findall("[a-z]+", re.sub("(?<=[a-z])(?=[A-Z])", " ", name).lower())
    meant = {split for split, known in SPLIT_WORDS.items() if set(words) & set(known)}
    return meant.pop() if len(meant) == 1 else None


def _inner(folder: Path) -> Path:
    """The folder, or the only one in it, of the same name: seg_train/seg_train."""
    inside = _subfolders(folder)
    same = len(inside) == 1 and inside[0].name.lower() == folder.name.lower()
    return inside[0] if same else folder


def _subfolders(root: Path) -> list[Path]:
    return sorted(f for f in root.iterdir() if f.is_dir() and not _hidden(f.name))


def _leads_back(folder: Path) -> bool:
    """Whether it is a link to a folder that it lies in: no class, but all of them once more."""
    return folder.is_symlink() and folder.resolve() in folder.parent.resolve().joinpath("x").parents


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


# The classes of a split: class folders, or a list.

def _labeled(folder: Path, root: Path, skipped: Skipped, notes: list[str], aside=(),
             known=()) -> Classes | None:
    """The images of each class of a split; None for images without labels."""
    folders = [f for f in _subfolders(folder) if f not in aside]
    if all(f.name.lower() in IMAGE_FOLDERS for f in folders):
        return _by_list(folder, root, skipped, notes, known)
    stray = sum(not entry.is_dir() and _why_not(entry) is None for entry in os.scandir(folder))
    if stray:
        skipped.seen += stray
        skipped.add("beside the class folders", stray)
    _check_depth(folder, folders, folder == root, known)
    return by_folder(folder, skipped, aside)


def by_folder(folder: Path, skipped: Skipped, aside=()) -> Classes:
    """The images of each class folder; a class may have none."""
    found: Classes = {}
    for inside in _subfolders(folder):
        if _leads_back(inside):
            skipped.seen += 1
            skipped.add("link to a folder above")
        elif inside not in aside:
            paths = found.setdefault(IMAGENETTE.get(inside.name, inside.name), [])
            paths += sorted(images_below(inside, skipped))
    return found


def _check_depth(place: Path, folders: list[Path], top: bool, known=()) -> None:
    """UserError if the class folders share folders with images: those look like the classes.

    So do splits whose names we cannot read, such as Entrenamiento and Prueba. known: names of
    classes of which this is settled. top: whether the folders lie where splits would.
    """
    names = [folder.name for folder in folders]
    if len(folders) < 2 or set(names) <= set(known):
        return
    inside = [{f.name for f in _subfolders(folder) if next(images_below(f), None)}
              for folder in folders]
    if len(shared := sorted(set.intersection(*inside))) > 1:
        rename = f"rename {_some(names)} to train, val and test, or " if top else ""
        raise UserError(f"{_some(names)} in {place} each hold the folders {_some(shared)}: if "
                        f"these are the classes, {rename}choose one as folder:{folders[0]}; if "
                        f"{names[0]} is a class, move its images out of them into {names[0]}")


def _by_list(folder: Path, root: Path, skipped: Skipped, notes: list[str],
             known=()) -> Classes | None:
    """The images of each class of a folder without class folders, by a list of their labels."""
    images = sorted(images_below(folder, skipped))
    places = {root, folder} | ({folder.parent} if folder != root else set())
    lists = {file: found for place in sorted(places) for file in sorted(place.iterdir())
             if file.suffix.lower() in LISTS and "submission" not in file.name.lower()
             and (found := _read_list(file, images))[0]}
    if not lists:
        return None
    if len(lists) > 1:
        raise UserError(f"{_some(f.name for f in lists)} give labels to the images in {folder}: "
                        "keep one of these lists")
    (file, (labels, absent)), = lists.items()
    if file.parent == folder:
        skipped.reasons -= Counter([file.suffix.lower()])  # it was read
    if absent and file.parent == folder:  # a list further up may speak of other splits, too
        notes.append(f"{file.name} names {absent} files that are not in {folder.name}")
    if len(labels) < len(images):
        skipped.add(f"without a label in {file.name}", len(images) - len(labels))
    notes.append(f"labels of the images in {folder.name} are read from {file.name}")
    names = sorted(set(labels.values()))
    if known and names == sorted(map(str, range(len(known)))) != sorted(known):
        notes.append(f"the numbers in {file.name} are taken for train's classes in their order, "
                     f"from 0 ({known[0]}) to {len(known) - 1} ({known[-1]})")
        labels = {path: known[int(label)] for path, label in labels.items()}
    classes: Classes = {IMAGENETTE.get(name, name): [] for name in sorted(set(labels.values()))}
    for path, label in labels.items():
        classes[IMAGENETTE.get(label, label)].append(path)
    return classes


def _read_list(file: Path, images: list[Path]) -> tuple[dict[Path, str], int]:
    """(the label of each image that a list names, how many others it names).

    No labels, if it names less than half of the images.

    Lines of file and label, with commas, semicolons, tabs or spaces between; with more columns,
    a line of headings must name one that holds the labels.
    """
    if not file.is_file() or file.stat().st_size > LIST_BYTES:
        return {}, 0
    lines = file.read_text("utf-8-sig", "replace").splitlines()
    between = next((mark for mark in "\t,;" if lines and mark in lines[0]), None)
    try:
        rows = ([line.split() for line in lines] if between is None else
                list(csv.reader(lines, delimiter=between)))
    except csv.Error:
        return {}, 0
    rows = [[cell.strip() for cell in row] for row in rows if len(row) > 1]
    names = Counter(name for path in images for name in {path.stem, path.name})
    by_name = {name: path for path in images for name in (path.stem, path.name)
               if names[name] == 1}

    def image(cell: str) -> Path | None:
        return by_name.get(cell.replace("\\", "/").rsplit("/", 1)[-1])

    width = min(map(len, rows), default=0)
    hits = [sum(image(row[column]) is not None for row in rows) for column in range(width)]
    if not hits or 2 * max(hits) < len(images):
        return {}, 0
    files = hits.index(max(hits))
    headed = image(rows[0][files]) is None
    others = [column for column in range(width) if column != files]
    if len(others) > 1:
        others = ([c for c in others if rows[0][c].lower() in LABEL_WORDS] if headed
                  else [c for c in others if c == files + 1])
    if len(others) != 1:
        raise UserError(f"{file} has several columns that may be the label: keep two, the file's "
                        "name and its label")
    labels, absent = dict[Path, str](), 0
    for row in rows[headed:]:
        path, label = image(row[files]), row[others[0]]
        absent += path is None
        if path and label and labels.setdefault(path, label) != label:
            raise UserError(f"{file} gives {path.name} two labels, {labels[path]} and {label}: "
                            "keep one")
    return labels, absent


def _check_to_train(train: Classes, folder: Path) -> None:
    """UserError for classes that nothing can be learned of."""
    if empty := [name for name, paths in train.items() if not paths]:
        place = next(f for f in _subfolders(folder) if IMAGENETTE.get(f.name, f.name) == empty[0])
        list(images_below(place, skipped := Skipped()))
        raise UserError(f"no images in {place}{_because(skipped)}: add some, or remove the folder "
                        "from every split")
    if len(train) < 2:
        place, = train
        deeper = folder / place
        inside = f", such as those in {deeper}" if deeper.is_dir() and _subfolders(deeper) else ""
        raise UserError(f"only one class in {folder} ({place}): a classifier needs two or more "
                        f"class folders{inside}")


def _held_against(given: Classes | None, folder: Path, split: str, classes: tuple[str, ...],
                  notes: list[str]) -> tuple[list[Path], np.ndarray] | None:
    """The images of a val or test split with the labels of train, or None to leave it aside."""
    given = given and {name: paths for name, paths in given.items() if paths}
    unlabeled = not given or not set(given) & set(classes)
    if unlabeled and split == "test":
        notes.append(f"{folder.name} is left aside, as it has no folders of train's classes")
        return None
    if not given:
        raise UserError(_no_classes(folder) + ", or rename it, and val is held out of train")
    if unknown := [name for name in given if name not in classes]:
        raise UserError(f"{folder} has classes that train has not ({_some(unknown, 5)}): give "
                        "them the names that they have in train, or remove them")
    if missing := [name for name in classes if name not in given]:
        notes.append(f"{split} has no images of {_some(missing)}")
    return numbered(given, classes)


def numbered(found: Classes, classes: tuple[str, ...]) -> tuple[list[Path], np.ndarray]:
    """(paths, labels), class by class."""
    number = {name: k for k, name in enumerate(classes)}
    pairs = sorted((number[name], path) for name, paths in found.items() for path in paths)
    return [path for _, path in pairs], np.array([k for k, _ in pairs], np.int64)


def hold_out(splits: dict, share: float, seed: int, classes: tuple[str, ...]) -> dict:
    """`splits` with a "val" taken out of "train": `share` of each class, at least one image.

    The choice depends on the seed alone, and train keeps at least one image of each class.
    """
    items, labels = splits["train"]
    rng, chosen = np.random.default_rng(seed), []
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        if len(mine) < 2:
            raise UserError(f"the class {classes[label]!r} has a single image, which cannot be "
                            "both trained on and validated on: add images")
        chosen.append(rng.permutation(mine)[:max(1, round(share * len(mine)))])
    held = np.zeros(len(labels), bool)
    held[np.concatenate(chosen)] = True

    def take(which):
        kept = (items[which] if isinstance(items, np.ndarray)
                else [items[i] for i in np.flatnonzero(which)])
        return kept, labels[which]

    rest = {name: split for name, split in splits.items() if name not in ("train", "val")}
    return {"train": take(~held), "val": take(held), **rest}


# The files.

def images_below(root: str | Path, skipped: Skipped | None = None, above=()) -> Iterator[Path]:
    """The image files at any depth, folder by folder; what else there is goes into `skipped`.

    Links to folders are followed, but for those that lead back to a folder above.
    """
    skipped = skipped or Skipped()
    above = (*above, os.path.realpath(root))
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError:
        skipped.add("in a folder that cannot be read")
        return
    folders = []
    for entry in entries:
        why = _why_not(entry)
        if why is None and entry.is_dir():
            folders.append(entry)
            continue
        skipped.seen += 1
        if why is None:
            yield Path(entry.path)
        else:
            skipped.add(why)
    for folder in folders:
        if folder.is_symlink() and os.path.realpath(folder.path) in above:
            skipped.add("link to a folder above")
        else:
            yield from images_below(folder.path, skipped, above)


def _why_not(entry: os.DirEntry) -> str | None:
    """Why a file or folder is left out; None for an image, and for a folder to look into."""
    name, suffix = entry.name, Path(entry.name).suffix.lower()
    if _hidden(name):
        return "hidden"
    try:
        if entry.is_dir():
            return None
        if not entry.is_file():  # a broken link to an image counts as a broken image
            linked = entry.is_symlink() and not os.path.exists(entry.path)
            return ("broken link" if suffix not in suffixes() else None) if linked else (
                "not a regular file")
    except OSError:
        return "broken link"
    if suffix in suffixes():
        return None
    if suffix in PHOTOGRAPHS:
        return f"{suffix} (Pillow cannot read it here: convert to .jpg)"
    odd = ODD_ENDING.fullmatch(suffix)
    copy = odd and Path(entry.path).with_suffix(odd[1]).exists()
    if (odd and not copy or not suffix) and begins_like_an_image(entry.path):
        return None
    return suffix or "without an ending"


def first_image(path: str | Path) -> Path | None:
    """Some image below a folder, or None."""
    return next(images_below(os.path.expanduser(path)), None)
