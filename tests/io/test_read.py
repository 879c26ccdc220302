import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from PIL import Image

from segjax._errors import InputError
from segjax.io import (
    Volume,
    grid_difference,
    is_readable,
    read_header,
    read_image,
    read_labels,
    stem,
)
from tests.io import files
from tests.io.files import LABELS, PLANE


def same(volume, expected):
    np.testing.assert_array_equal(volume.array, expected)
    assert volume.array.dtype == np.asarray(expected).dtype
    assert volume.array.dtype.isnative
    assert volume.array.flags.c_contiguous


# TIFF


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiff_stack_reads_back(tmp_path, compression, byteorder):
    if compression == "lzw":
        pytest.importorskip("imagecodecs")
    path = tmp_path / "a.TIF"
    tifffile.imwrite(
        path, LABELS, compression=compression, byteorder=byteorder, photometric="minisblack"
    )
    volume = read_labels(path)
    same(volume, LABELS)
    assert (volume.spacing, volume.unit, volume.affine) == (None, None, None)


def test_ome_tiff_gives_spacing_in_array_order_and_one_unit(tmp_path):
    path = tmp_path / "a.ome.tif"
    metadata = {
        "axes": "ZYX",
        "PhysicalSizeX": 250.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 500.0,
        "PhysicalSizeYUnit": "nm",
        "PhysicalSizeZ": 3.0,
        "PhysicalSizeZUnit": "µm",
    }
    tifffile.imwrite(path, LABELS, metadata=metadata)
    volume = read_labels(path)
    same(volume, LABELS)
    assert volume.spacing == pytest.approx((3000, 500, 250))
    assert volume.unit == "nm"


def test_ome_tiff_without_unit_is_in_micrometres(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path, PLANE, metadata={"axes": "YX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
    )
    volume = read_labels(path)
    assert (volume.spacing, volume.unit) == ((0.5, 0.25), "um")


@pytest.mark.parametrize("unit", ["micron", "um", "\\u00B5m"])
def test_imagej_stack_gives_spacing(tmp_path, unit):
    path = tmp_path / "a.tif"
    metadata = {"axes": "ZYX", "spacing": 3.0, "unit": unit}
    tifffile.imwrite(path, LABELS, imagej=True, resolution=(4, 2), metadata=metadata)
    volume = read_labels(path)
    same(volume, LABELS)
    assert (volume.spacing, volume.unit) == ((3.0, 0.5, 0.25), "um")


def test_imagej_stack_in_pixels_has_no_spacing(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, LABELS, imagej=True, resolution=(1, 1), metadata={"axes": "ZYX"})
    assert read_labels(path).spacing is None


@pytest.mark.parametrize(
    ("resolution", "unit", "spacing"),
    [
        ((10_000, 5_000), "CENTIMETER", (2.0, 1.0)),  # 1 cm / 10,000 = 1 um
        ((25_400, 25_400), "INCH", (1.0, 1.0)),
        ((72, 72), "INCH", None),  # what every drawing program writes
        ((96 / 2.54, 96 / 2.54), "CENTIMETER", None),
        ((5, 5), "NONE", None),
    ],
)
def test_plain_tiff_resolution_counts_when_it_was_measured(tmp_path, resolution, unit, spacing):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE, resolution=resolution, resolutionunit=unit)
    found = read_labels(path).spacing
    assert found == (None if spacing is None else pytest.approx(spacing))


def test_time_series_has_no_spacing_over_all_axes(tmp_path):
    path = tmp_path / "a.tif"
    metadata = {"axes": "TYX", "unit": "um", "spacing": 2.0}
    tifffile.imwrite(path, LABELS, imagej=True, resolution=(2, 2), metadata=metadata)
    same(read_labels(path), LABELS)
    assert read_labels(path).spacing is None


def test_palette_tiff_gives_indices_as_labels_and_colours_as_image(tmp_path):
    path = tmp_path / "a.tif"
    colours = np.zeros((3, 256), np.uint16)
    colours[0] = np.arange(256) * 256
    tifffile.imwrite(path, PLANE, photometric="palette", colormap=colours)
    same(read_labels(path), PLANE)
    image = read_image(path)
    assert image.channels
    np.testing.assert_array_equal(image.array[..., 0], PLANE)


def test_planar_colour_tiff_is_read_with_channels_last(tmp_path):
    path = tmp_path / "a.tif"
    picture = np.arange(3 * 5 * 7, dtype=np.uint8).reshape(3, 5, 7)
    tifffile.imwrite(path, picture, photometric="rgb", planarconfig="separate")
    image = read_image(path)
    assert image.channels
    np.testing.assert_array_equal(image.array, np.moveaxis(picture, 0, -1))


# PNG and BMP


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_grey_picture_reads_back(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(PLANE).save(path)
    same(read_labels(path), PLANE)


def test_sixteen_bit_png_reads_back(tmp_path):
    Image.fromarray(LABELS[0] * 5000).save(tmp_path / "a.png")
    same(read_labels(tmp_path / "a.png"), LABELS[0] * 5000)


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_one_bit_picture_is_a_mask(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(PLANE > 3).save(path)
    same(read_labels(path), PLANE > 3)


@pytest.mark.parametrize(("depth", "row", "labels"), [(2, 0b00011011, 4), (4, 0x0F, 2)])
def test_grey_of_few_bits_is_not_stretched(tmp_path, depth, row, labels):
    # One byte holds four samples 0 1 2 3, or two samples 0 15.
    width = 8 // depth
    (tmp_path / "a.png").write_bytes(files.png(width, 2, depth, 0, bytes([0, row, 0, row])))
    expected = np.array([[0, 1, 2, 3] if labels == 4 else [0, 15]] * 2, np.uint8)
    same(read_labels(tmp_path / "a.png"), expected)


def test_palette_png_gives_indices_as_labels_and_colours_as_image(tmp_path):
    picture = Image.fromarray(PLANE, mode=None).convert("P")
    picture.putdata(PLANE.ravel().tolist())
    picture.putpalette([255 - i // 3 for i in range(768)])
    picture.info["transparency"] = b"\0\xff"  # of which Pillow warns
    picture.save(tmp_path / "a.png")
    same(read_labels(tmp_path / "a.png"), PLANE)
    image = read_image(tmp_path / "a.png")
    assert image.channels
    np.testing.assert_array_equal(image.array[..., 1], 255 - PLANE)


def test_large_legal_png_needs_no_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # 35 pixels are "a bomb" to Pillow.
    Image.fromarray(PLANE).save(tmp_path / "a.png")
    same(read_labels(tmp_path / "a.png"), PLANE)
    assert Image.MAX_IMAGE_PIXELS == 10


# NumPy


@pytest.mark.parametrize("dtype", ["bool", "u1", ">u2", "<i4", ">i8", "u8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_reads_back(tmp_path, dtype, order):
    array = np.asarray(LABELS > 3 if dtype == "bool" else LABELS, dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    same(read_labels(tmp_path / "a.npy"), array.astype(array.dtype.newbyteorder("=")))


def test_npy_can_be_read_by_many_threads_at_once(tmp_path):
    np.save(tmp_path / "a.npy", LABELS)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # without a lock, one in 2,000 fails
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(read_header, [tmp_path / "a.npy"] * 8000))
    finally:
        sys.setswitchinterval(interval)
    assert {volume.array.shape for volume in found} == {LABELS.shape}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("name", ["whatever", "mask"])
def test_npz_gives_its_only_array_or_the_one_named_for_it(tmp_path, save, name):
    others = {} if name == "whatever" else {"image": LABELS * 2}
    save(tmp_path / "a.npz", **others, **{name: LABELS})
    same(read_labels(tmp_path / "a.npz"), LABELS)


def test_trailing_channel_of_one_is_dropped_and_nothing_else(tmp_path):
    np.save(tmp_path / "channel.npy", LABELS[..., None])
    np.save(tmp_path / "plane.npy", LABELS[:1])
    np.save(tmp_path / "column.npy", LABELS[0, :, :1])
    same(read_labels(tmp_path / "channel.npy"), LABELS)
    assert read_labels(tmp_path / "plane.npy").array.shape == (1, 5, 7)
    assert read_labels(tmp_path / "column.npy").array.shape == (5, 1)


@pytest.mark.parametrize(("high", "dtype"), [(1, "u1"), (300, "u2"), (70_000, "u4")])
def test_whole_floats_become_the_smallest_integers_with_a_warning(tmp_path, high, dtype):
    np.save(tmp_path / "a.npy", np.array([[0.0, high]]))
    with pytest.warns(UserWarning, match=r"a\.npy.*float64"):
        volume = read_labels(tmp_path / "a.npy")
    same(volume, np.array([[0, high]], dtype))


# Medical formats: a box of one voxel of 1 x 1 x 3 mm, whose long side must lie along the
# right axis of the array.


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_keeps_x_y_z_and_its_spacing(tmp_path, suffix):
    pytest.importorskip("nibabel")
    box = np.zeros((4, 5, 6), np.uint8)
    box[1, 2, 3] = 1
    volume = read_labels(files.nifti(tmp_path / f"a{suffix}", box, (1, 1.5, 3)))
    same(volume, box)
    assert (volume.spacing, volume.unit) == ((1.0, 1.5, 3.0), "mm")


@pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nrrd"])
def test_itk_gives_z_y_x_and_its_spacing(tmp_path, suffix):
    pytest.importorskip("SimpleITK")
    box = np.zeros((6, 5, 4), np.uint8)
    box[3, 2, 1] = 1
    volume = read_labels(files.itk(tmp_path / f"a{suffix}", box, (1.0, 1.5, 3.0)))
    same(volume, box)
    assert (volume.spacing, volume.unit) == ((3.0, 1.5, 1.0), "mm")


def test_nifti_and_itk_place_a_voxel_alike(tmp_path):
    nibabel, sitk = pytest.importorskip("nibabel"), pytest.importorskip("SimpleITK")
    affine = np.array([[0, -2, 0, 5], [1.5, 0, 0, -7], [0, 0, 3, 11], [0, 0, 0, 1.0]])
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), affine), path)
    sitk.WriteImage(sitk.ReadImage(str(path)), str(tmp_path / "a.nrrd"))
    first, second = read_labels(path), read_labels(tmp_path / "a.nrrd")
    assert first.affine is not None
    assert second.affine is not None
    np.testing.assert_allclose(first.affine @ [1, 2, 3, 1], second.affine @ [3, 2, 1, 1], atol=1e-4)


def test_nifti_drops_time_of_one_but_not_a_single_slice(tmp_path):
    pytest.importorskip("nibabel")
    volume = read_labels(files.nifti(tmp_path / "a.nii", np.ones((4, 5, 1, 1), np.uint8)))
    assert volume.array.shape == (4, 5, 1)
    assert volume.spacing == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("kind", ["Nifti1Image", "Nifti2Image"])
@pytest.mark.parametrize("dtype", ["<i2", ">i2"])
def test_either_nifti_in_either_byte_order_reads_back(tmp_path, kind, dtype):
    nibabel = pytest.importorskip("nibabel")
    header = getattr(nibabel, kind).header_class(endianness=dtype[0])
    image = getattr(nibabel, kind)(LABELS.astype(dtype), np.eye(4), header)
    image.set_data_dtype(dtype)
    nibabel.save(image, tmp_path / "a.nii.gz")
    same(read_labels(tmp_path / "a.nii.gz"), LABELS.astype(np.int16))


def test_nifti_labels_stored_as_floats_are_read_with_a_warning(tmp_path):
    pytest.importorskip("nibabel")
    path = files.nifti(tmp_path / "a.nii", LABELS.astype(np.float32))
    with pytest.warns(UserWarning, match="float"):
        same(read_labels(path), LABELS.astype(np.uint8))


# Zarr


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["zyx", "tczyx"])
def test_ome_zarr_gives_full_resolution_and_spacing(tmp_path, version, axes):
    pytest.importorskip("zarr")
    array = LABELS.reshape((1,) * (len(axes) - 3) + LABELS.shape)
    scale = [1.0] * (len(axes) - 3) + [3.0, 0.5, 0.25]
    volume = read_labels(files.ngff(tmp_path / "a.ome.zarr", array, version, axes, scale))
    same(volume, LABELS)
    assert (volume.spacing, volume.unit) == ((3.0, 0.5, 0.25), "um")


def test_zarr_array_reads_back(tmp_path):
    zarr = pytest.importorskip("zarr")
    zarr.create_array(str(tmp_path / "a.zarr"), data=LABELS)
    same(read_labels(tmp_path / "a.zarr"), LABELS)


def test_label_image_inside_an_ome_zarr_is_taken_for_labels(tmp_path):
    zarr = pytest.importorskip("zarr")
    scale = [1.0, 1.0, 1.0]
    path = files.ngff(tmp_path / "a.zarr", LABELS * 100, "0.4", "zyx", scale)
    zarr.open_group(str(path / "labels"), mode="w", zarr_format=2)
    inner = files.ngff(path / "labels" / "cells", LABELS, "0.4", "zyx", scale)
    same(read_labels(inner), LABELS)
    same(read_labels(path), LABELS)
    same(read_image(path), LABELS * 100)
    files.ngff(path / "labels" / "nuclei", LABELS, "0.4", "zyx", scale)
    with pytest.raises(InputError, match=r"2 label images .cells, nuclei.*a.zarr/labels/NAME"):
        read_labels(path)


def test_nnunet_spacing_beside_a_tiff_is_read_where_the_tiff_has_none(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", LABELS, photometric="minisblack")
    (tmp_path / "a.json").write_text('{"spacing": [3, 0.5, 0.25]}')
    assert read_labels(tmp_path / "a.tif").spacing == (3.0, 0.5, 0.25)
    (tmp_path / "a.json").write_text('{"spacing": [3, "x"]}')
    assert read_labels(tmp_path / "a.tif").spacing is None


# Names and grids


def test_stem_removes_the_whole_suffix_and_only_that():
    names = ["a.nii.gz", "b.1.ome.tif", "c.OME.zarr", "d.tar.gz", ".png"]
    assert [stem(name) for name in names] == ["a", "b.1", "c", "d.tar.gz", ""]
    assert not is_readable("d.tar.gz")
    assert not is_readable(".png")


def test_grids_that_disagree_are_told_apart(tmp_path):
    pytest.importorskip("SimpleITK")
    box = np.ones((6, 5, 4), np.uint8)
    here = read_labels(files.itk(tmp_path / "a.mha", box, (1.0, 1.0, 3.0)))
    wide = read_labels(files.itk(tmp_path / "b.mha", box, (1.0, 1.0, 3.01)))
    near = read_labels(files.itk(tmp_path / "c.mha", box, (1.0, 1.0, 3.001)))
    moved = read_labels(files.itk(tmp_path / "d.mha", box, (1.0, 1.0, 3.0), (0.0, 5.0, 0.0)))
    assert grid_difference(here, near) is None
    assert "spacing (3.0, 1.0, 1.0) mm" in str(grid_difference(here, wide))
    assert "up to 5 apart" in str(grid_difference(here, moved))


def test_the_same_lengths_in_other_units_agree():
    array = np.zeros((2, 2), np.uint8)
    assert (
        grid_difference(Volume(array, (1.0, 2.0), "um"), Volume(array, (1e-3, 2e-3), "mm")) is None
    )


def test_reading_warns_of_nothing(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_labels(tmp_path / "a.tif")


# Headers


def _written(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix in (".nii.gz", ".nii"):
        pytest.importorskip("nibabel")
        files.nifti(path, LABELS, zooms=(1.0, 2.0, 3.0))
    elif suffix in (".mha", ".nrrd"):
        pytest.importorskip("SimpleITK")
        files.itk(path, LABELS, spacing=(1.0, 2.0, 3.0), origin=(4.0, 5.0, 6.0))
    elif suffix == ".ome.zarr":
        pytest.importorskip("zarr")
        files.ngff(path, LABELS, "0.5", "zyx", [3.0, 2.0, 1.0])
    elif suffix == ".tif":
        tifffile.imwrite(path, LABELS, compression="zlib", photometric="minisblack")
    elif suffix == ".png":
        Image.fromarray(PLANE).save(path)
    elif suffix == ".npz":
        np.savez(path, labels=LABELS)
    else:
        np.save(path, LABELS)
    return path


@pytest.mark.parametrize(
    "suffix", [".nii.gz", ".nii", ".mha", ".nrrd", ".ome.zarr", ".tif", ".png", ".npz", ".npy"]
)
def test_a_header_tells_what_the_whole_file_does_but_its_voxels(suffix, tmp_path):
    path = _written(tmp_path, suffix)
    whole, header = read_labels(path), read_header(path)
    assert header.array.shape == whole.array.shape
    assert header.array.dtype == whole.array.dtype
    assert not header.array.any()
    assert (header.spacing, header.unit) == (whole.spacing, whole.unit)
    if whole.affine is None:
        assert header.affine is None
    else:
        np.testing.assert_allclose(header.affine, whole.affine)


def test_a_header_of_colours_or_of_a_cut_file_is_refused_all_the_same(tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(InputError, match="holds colours"):
        read_header(tmp_path / "c.png")
    path = _written(tmp_path, ".npy")
    path.write_bytes(path.read_bytes()[:-150])
    with pytest.raises(InputError, match="is cut"):
        read_header(path)
