"""Commands that mend what was found: options of segjax, and one-liners of other tools."""

import shlex
from collections.abc import Sequence
from pathlib import Path


_NIFTI = (".nii", ".nii.gz")
_ITK = (".mha", ".mhd", ".nrrd")
# How a format is read to an array and written; `m` is the file, `o` the new one, `a` the array.
_ARRAYS = {
    ".tif": ("tifffile", "tifffile.imread({})", "tifffile.imwrite(o, a)"),
    ".npy": ("numpy", "numpy.load({})", "numpy.save(o, a)"),
    ".png": ("numpy, PIL.Image as I", "numpy.asarray(I.open({}))", "I.fromarray(a).save(o)"),
}
_ARRAYS |= {".tiff": _ARRAYS[".tif"]}
_MENDED = "mended"


def evaluate(given: Sequence[Path], *options: str) -> str:
    """`segjax evaluate` of what was given, with options."""
    return shlex.join(["segjax", "evaluate", *map(str, given), *options])


def resample(reference: Path, prediction: Path) -> str:
    """Bring a prediction to the grid of its reference, by nearest neighbours."""
    name = prediction.name.lower()
    if name.endswith(_NIFTI):
        code = (
            "import sys, nibabel as n, nibabel.processing as p; r, m, o = sys.argv[1:]; "
            "n.save(p.resample_from_to(n.load(m), n.load(r), order=0), o)"
        )
    elif name.endswith(_ITK):
        code = (
            "import sys, SimpleITK as s; r, m, o = sys.argv[1:]; s.WriteImage(s.Resample("
            "s.ReadImage(m), s.ReadImage(r), s.Transform(), s.sitkNearestNeighbor), o)"
        )
    else:
        code = _of_arrays(
            prediction,
            "w = {r}.shape; a = {m}; "
            "a = a[numpy.ix_(*[(2 * numpy.arange(n) + 1) * k // (2 * n) "
            "for n, k in zip(w, a.shape)])]",
        )
    return _python(code, reference, prediction)


def transpose(reference: Path, prediction: Path, order: Sequence[int]) -> str:
    """Put the axes of a prediction into the order of its reference."""
    axes = tuple(order)
    name = prediction.name.lower()
    if name.endswith(_NIFTI):
        code = (
            "import sys, nibabel as n, numpy; r, m, o = sys.argv[1:]; r, m = n.load(r), n.load(m); "
            f"n.save(n.Nifti1Image(numpy.asanyarray(m.dataobj).transpose{axes}, r.affine), o)"
        )
    elif name.endswith(_ITK):
        turned = [len(axes) - 1 - i for i in reversed(axes)]  # SimpleITK counts from the other end
        code = (
            "import sys, SimpleITK as s; r, m, o = sys.argv[1:]; "
            f"a = s.PermuteAxes(s.ReadImage(m), {turned}); a.CopyInformation(s.ReadImage(r)); "
            "s.WriteImage(a, o)"
        )
    else:
        code = _of_arrays(prediction, f"a = {{m}}.transpose{axes}")
    return _python(code, reference, prediction)


def reorient(reference: Path, prediction: Path) -> str:
    """Turn and flip a prediction to the orientation of its reference, by the headers."""
    if prediction.name.lower().endswith(_NIFTI):
        code = (
            "import sys, nibabel as n, nibabel.orientations as w; r, m, o = sys.argv[1:]; "
            "r, m = n.load(r), n.load(m); n.save(m.as_reoriented(w.ornt_transform("
            "w.io_orientation(m.affine), w.io_orientation(r.affine))), o)"
        )
        return _python(code, reference, prediction)
    return resample(reference, prediction)


def as_integers(path: Path) -> str:
    """Store whole numbers as integers."""
    name = path.name.lower()
    if name.endswith(_NIFTI):
        code = (
            "import sys, nibabel as n, numpy; _, m, o = sys.argv[1:]; m = n.load(m); "
            'n.save(n.Nifti1Image(numpy.asanyarray(m.dataobj).astype("uint16"), m.affine), o)'
        )
    elif name.endswith(_ITK):
        code = (
            "import sys, SimpleITK as s; _, m, o = sys.argv[1:]; "
            "s.WriteImage(s.Cast(s.ReadImage(m), s.sitkUInt16), o)"
        )
    else:
        code = _of_arrays(path, 'a = {m}.astype("uint16")')
    return _python(code, path, path)


def _of_arrays(path: Path, work: str) -> str:
    """Python that reads a file of plain pixels, works on them and writes them."""
    kind = next((k for k in _ARRAYS if path.name.lower().endswith(k)), ".npy")
    module, load, save = _ARRAYS[kind]
    modules = ", ".join(dict.fromkeys(["sys", "numpy", *module.split(", ")]))
    filled = work.format(r=load.format("r"), m=load.format("m"))
    return f"import {modules}; r, m, o = sys.argv[1:]; {filled}; {save}"


def _python(code: str, reference: Path, prediction: Path) -> str:
    new = prediction.parent.with_name(f"{prediction.parent.name}-{_MENDED}") / prediction.name
    made = shlex.join(["mkdir", "-p", str(new.parent)])
    return (
        f"{made} && {shlex.join(['python', '-c', code, *map(str, (reference, prediction, new))])}"
    )
