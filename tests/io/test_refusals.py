"""What cannot be scored is refused by one line that names the file and the mend."""

import gzip
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

from segjax._errors import InputError
from segjax.io import open_labels, read_image, read_labels
from tests.io import files
from tests.io.files import LABELS, PLANE


def refused(path, words, **options):
    with pytest.raises(InputError, match=words) as caught:
        read_labels(path, **options)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def saved(path, array):
    np.save(path, array)
    return path


# Things that are no label map


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colour_png_is_refused_even_if_it_is_grey(tmp_path, mode):
    path = tmp_path / "a.png"
    Image.fromarray(PLANE).convert(mode).save(path)
    refused(path, "holds colours.*keep one channel")
    assert read_image(path).channels


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_tiff_is_refused(tmp_path, channels):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((5, 7, channels), np.uint8), photometric="rgb")
    refused(path, "holds colours")
    assert read_image(path).channels


def test_vector_image_is_refused(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(np.ones((4, 5, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    refused(tmp_path / "a.mha", "holds colours")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([[0.0, 0.5]]), "fractions.*threshold"),
        (np.array([[0.0, np.nan]]), "NaN"),
        (np.array([[0.0, np.inf]]), "NaN or infinite"),
        (np.array([[0.0, 1e30]]), "up to 1e"),
        (np.array([[0, -1]]), "negative labels.*-1"),
        (np.array([[0j, 1]]), "complex128"),
        (np.array([["a", "b"]]), "<U1"),
        (np.zeros((2, 2), [("x", "u1")]), "records"),
        (np.arange(4), "1 axes"),
        (np.array(3), "0 axes"),
        (np.zeros((0, 4), np.uint8), "no voxels"),
    ],
)
def test_array_that_is_no_label_map_is_refused(tmp_path, array, words):
    refused(saved(tmp_path / "a.npy", array), words)


@pytest.mark.filterwarnings("ignore:.*labels stored as float")
def test_negative_whole_floats_are_refused(tmp_path):
    refused(saved(tmp_path / "a.npy", np.array([[0.0, -1.0]])), "negative labels")


def test_pickles_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle ran",))

    array = np.empty((2, 2), object)
    array[:] = Trap()
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    np.savez(tmp_path / "b.npz", array, allow_pickle=True)
    (tmp_path / "c.npy").write_bytes(pickle.dumps(Trap()))
    refused(tmp_path / "a.npy", "pickled.*numpy.save")
    refused(tmp_path / "b.npz", "pickled.*numpy.save|holds 2 arrays")
    refused(tmp_path / "c.npy", "pickle")


def test_zarr_encoded_by_pickle_is_never_decoded(tmp_path):
    zarr = pytest.importorskip("zarr")
    path = tmp_path / "a.zarr"
    zarr.create_array(str(path), data=PLANE, zarr_format=2, compressors=None)
    metadata = (path / ".zarray").read_text()
    (path / ".zarray").write_text(
        metadata.replace('"filters": null', '"filters": [{"id": "pickle"}]')
    )
    assert "pickle" in (path / ".zarray").read_text()
    refused(path, "pickle")


def test_npz_of_several_arrays_needs_a_name(tmp_path):
    np.savez(tmp_path / "a.npz", first=LABELS, second=LABELS)
    refused(tmp_path / "a.npz", "2 arrays.*first, second.*labels")


def test_tiff_of_several_images_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(PLANE)
        writer.write(LABELS[0, :3])
    refused(path, "several images")


def test_animated_png_is_refused(tmp_path):
    first, second = Image.fromarray(PLANE), Image.fromarray(PLANE + 1)
    first.save(tmp_path / "a.png", save_all=True, append_images=[second])
    refused(tmp_path / "a.png", "animated")


# Files that are no files


def test_missing_file_is_named(tmp_path):
    refused(tmp_path / "a.tif", "no such file")


def test_folder_unknown_suffix_and_hollow_store_are_refused(tmp_path):
    (tmp_path / "a.tif").mkdir()
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "c.jpg").write_bytes(b"x")
    refused(tmp_path / "a.tif", "not a TIFF file")
    refused(tmp_path / "b.zarr", "not a Zarr file")
    refused(tmp_path / "c.jpg", "no format segjax reads; give one of .*png")
    refused(tmp_path, "folder")


def test_name_that_no_system_accepts_is_refused(tmp_path):
    for name in ("a" * 5000 + ".tif", "a\0.tif"):
        with pytest.raises(InputError):
            read_labels(tmp_path / name)


def test_line_break_in_a_name_stays_on_one_line(tmp_path):
    (tmp_path / "a\nb.tif").touch()
    with pytest.raises(InputError, match=r"a\\nb\.tif: is empty"):
        read_labels(tmp_path / "a\nb.tif")


SUFFIXES = [".tif", ".png", ".bmp", ".npy", ".npz", ".nii", ".nii.gz", ".mha", ".nrrd"]
PACKAGES = {".nii": "nibabel", ".nii.gz": "nibabel", ".mha": "SimpleITK", ".nrrd": "SimpleITK"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_and_foreign_files_are_refused(tmp_path, suffix):
    pytest.importorskip(PACKAGES.get(suffix, "numpy"))
    path = tmp_path / f"a{suffix}"
    path.touch()
    refused(path, "empty")
    path.write_bytes(b"<html>not found</html>" * 30)
    refused(path, "; ")


NOISE = np.random.default_rng(0).integers(0, 99, (9, 30, 30), np.uint8)


def write(path):
    if path.suffix in (".tif",):
        tifffile.imwrite(path, LABELS, compression="zlib", photometric="minisblack")
    elif path.suffix in (".png", ".bmp"):
        Image.fromarray(NOISE[0]).save(path)
    elif path.suffix == ".npy":
        np.save(path, LABELS)
    elif path.suffix == ".npz":
        np.savez_compressed(path, LABELS)
    elif path.suffix in (".nii", ".gz"):
        files.nifti(path, NOISE)
    else:
        files.itk(path, LABELS)
    return path.read_bytes()


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_cut_files_are_refused(tmp_path, suffix, share):
    pytest.importorskip(PACKAGES.get(suffix, "numpy"))
    path = tmp_path / f"a{suffix}"
    content = write(path)
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "cut|damaged|cannot be read")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "zlib"}])
def test_tiff_cut_anywhere_never_gives_fewer_planes(tmp_path, share, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.tile(LABELS, (1, 9, 9)), photometric="minisblack", **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "cut|damaged")


def test_gzip_checksum_is_compared(tmp_path):
    pytest.importorskip("nibabel")
    path = files.nifti(tmp_path / "a.nii.gz", NOISE)
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    refused(path, "CRC")


def test_ome_tiff_that_lacks_a_plane_is_refused(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, LABELS, metadata={"axes": "ZYX"}, compression="zlib")
    content = path.read_bytes()
    path.write_bytes(content.replace(b'SizeZ="3"', b'SizeZ="9"'))
    refused(path, "cut|damaged")


def packed_itk(path):
    """A file whose voxels are compressed, and where they begin."""
    sitk = pytest.importorskip("SimpleITK")
    sitk.WriteImage(sitk.GetImageFromArray(NOISE), str(path), True)
    content = path.read_bytes()
    mark = b"LOCAL\n" if path.suffix == ".mha" else b"\n\n"
    return content, content.index(mark) + len(mark)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_damaged_voxels_are_refused_by_their_checksum(tmp_path, suffix):
    """ITK would return what it has, or what memory held."""
    path = tmp_path / f"a{suffix}"
    content, start = packed_itk(path)
    assert (read_labels(path).array == NOISE).all()
    for at in range(start + 12, len(content) - 10, 499):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        refused(path, "damaged: its voxels cannot be inflated")


def test_damaged_pixels_of_a_png_are_refused_by_their_checksum(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(NOISE[0]).save(path)
    content = path.read_bytes()
    for at in range(content.index(b"IDAT") + 6, len(content) - 16, 49):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        refused(path, "checksum|damaged|cannot be read")


def test_gzip_that_goes_on_behind_the_voxels_is_compared_too(tmp_path):
    pytest.importorskip("nibabel")
    path = files.nifti(tmp_path / "a.nii.gz", NOISE)
    content = gzip.decompress(path.read_bytes()) + bytes(9999)
    whole = gzip.compress(content)
    path.write_bytes(whole)
    assert read_labels(path).array.shape == NOISE.shape
    path.write_bytes(whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:])
    refused(path, "CRC")
    path.write_bytes(gzip.compress(content + bytes(2**26)))
    refused(path, "holds more than its header promises")


def test_nifti_that_lies_at_no_finite_point_is_refused(tmp_path):
    pytest.importorskip("nibabel")
    path = files.nifti(tmp_path / "a.nii", NOISE)
    content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, 280 + 4 * 5, np.inf)
    path.write_bytes(content)
    refused(path, "no finite point")


@pytest.mark.parametrize("offset", [-1.0, 1e30, np.nan, np.inf])
def test_nifti_whose_voxels_begin_nowhere_is_refused(tmp_path, offset):
    pytest.importorskip("nibabel")
    path = files.nifti(tmp_path / "a.nii", NOISE)
    content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, 108, offset)
    path.write_bytes(content)
    refused(path, "begin at byte|damaged")


def test_extensions_of_a_nifti_are_passed_over(tmp_path):
    """One that claims a negative size would have nibabel read all that can be unpacked."""
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(NOISE, np.eye(4))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 99))
    nibabel.save(image, tmp_path / "a.nii")
    assert (read_labels(tmp_path / "a.nii").array == NOISE).all()
    content = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<i", content, 352, -5)
    (tmp_path / "a.nii").write_bytes(content)
    assert (read_labels(tmp_path / "a.nii").array == NOISE).all()


META = (
    b"ObjectType = Image\nNDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\n"
    b"ElementDataFile = LOCAL\n\0\0\0\0"
)
NRRD = b"NRRD0004\ntype: uint8\ndimension: 2\nsizes: 2 2\nencoding: raw\n\n\0\0\0\0"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"NDims = 2", b"NDims = 255", "255 axes"),
        (b"NDims = 2", b"NDims = two", "no 1 whole numbers"),
        (b"DimSize = 2 2", b"DimSize = 2", "no 2 whole numbers"),
        (b"NDims = 2", b"NDims = 2\nNDims = 3", "NDims = 3.*twice"),
        (b"NDims = 2", b"NDims = 2\nOffset = 0 nan", "Offset are no 2 numbers"),
        (b"NDims = 2", b"NDims = 2\n" + b"A" * 999 + b" = 1", "has the line"),
        (b"MET_UCHAR", b"MET_ROUND", "ElementType is"),
        (b"MET_UCHAR", b"MET_UCHAR\nElementNumberOfChannels = 0", "0 channels"),
        (b"MET_UCHAR", b"MET_UCHAR\nBinaryData = False", "as text"),
        (b"MET_UCHAR", b"MET_UCHAR\nCompressedData = True", "CompressedDataSize"),
        (b"LOCAL", b"/etc/hostname", "points to voxels in /etc/hostname"),
        (b"LOCAL", b"LIST\n/etc/hostname", "several files"),
        (b"LOCAL", b"a%d.raw 1 2 1", "several files"),
        (b"LOCAL", b"b.raw", r"lacks its voxels \(b\.raw\)"),
        (b"\0\0\0\0", b"\0\0\0", "cut: 4 bytes promised, 3 stored"),
    ],
)
def test_metaimage_that_no_writer_writes_is_refused(tmp_path, old, new, words):
    """Some of these end the process when ITK is given them."""
    pytest.importorskip("SimpleITK")
    (tmp_path / "a.mha").write_bytes(META)
    assert read_labels(tmp_path / "a.mha").array.shape == (2, 2)
    (tmp_path / "a.mha").write_bytes(META.replace(old, new, 1))
    refused(tmp_path / "a.mha", words)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"dimension: 2", b"dimension: 99", "99 axes"),
        (b"sizes: 2 2", b"sizes: 2 -2", "no 2 whole numbers"),
        (b"sizes: 2 2", b"si" + b"(" * 2000, "has the line"),
        (b"sizes: 2 2", b"sizes: 2 2\nspace directions: (1,0) (0,,,", "no vectors"),
        (b"sizes: 2 2", b"sizes: 2 2\nspace directions: (1,0) (0,1,2)", "different lengths"),
        (b"sizes: 2 2", b"sizes: 2 2\nkinds: domain", "not as many as its axes"),
        (b"sizes: 2 2", b"sizes: 2 2\nspacings: 1 x", "no 2 numbers"),
        (b"sizes: 2 2", b"sizes: 2 2\nendian: l,,,,", "endian is"),
        (b"sizes: 2 2", b"sizes: 2 2\ndata file: /etc/hostname", "points to voxels"),
        (b"sizes: 2 2", b"sizes: 2 2\ndata file: LIST", "several files"),
        (b"uint8", b"unsigned elephant", "type is"),
        (b"NRRD", b"NERD", "begin with NRRD"),
        (b"\0\0\0\0", b"\0\0\0", "cut: 4 bytes promised, 3 stored"),
    ],
)
def test_nrrd_that_no_writer_writes_is_refused(tmp_path, old, new, words):
    pytest.importorskip("SimpleITK")
    (tmp_path / "a.nrrd").write_bytes(NRRD)
    assert read_labels(tmp_path / "a.nrrd").array.shape == (2, 2)
    (tmp_path / "a.nrrd").write_bytes(NRRD.replace(old, new, 1))
    refused(tmp_path / "a.nrrd", words)


@pytest.mark.parametrize(
    "kind", ["uchar", "unsigned char", "uint8_t", "ushort", "unsigned short int", "longlong"]
)
def test_types_of_nrrd_go_by_many_names(tmp_path, kind):
    pytest.importorskip("SimpleITK")
    (tmp_path / "a.nrrd").write_bytes(
        NRRD.replace(b"uint8", kind.encode() + b"\nendian: little") + bytes(32)
    )
    assert read_labels(tmp_path / "a.nrrd").array.shape == (2, 2)


def test_notes_of_an_nrrd_may_be_long(tmp_path):
    pytest.importorskip("SimpleITK")
    notes = b"Segmentation_ConversionParameters:=" + b"x" * 5000
    (tmp_path / "a.nrrd").write_bytes(NRRD.replace(b"sizes", b"# a note\n" + notes + b"\nsizes"))
    assert read_labels(tmp_path / "a.nrrd").array.shape == (2, 2)


def test_tiff_whose_pages_go_in_a_circle_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, LABELS, photometric="minisblack", compression="zlib", metadata=None)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        second, last = file.pages[1].offset, file.pages[2].offset
    (tags,) = struct.unpack_from("<H", content, last)
    struct.pack_into("<I", content, last + 2 + 12 * tags, second)
    path.write_bytes(content)
    refused(path, "a page follows itself")


def test_tiff_whose_pixels_begin_at_its_header_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE, photometric="minisblack")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        struct.pack_into("<I", content, file.pages[0].tags["StripOffsets"].valueoffset, 0)
    path.write_bytes(content)
    refused(path, "cut: pixels are missing")
    with pytest.raises(InputError, match="cut: pixels are missing"):
        open_labels(path)


def test_tiff_that_gives_fewer_pixels_than_it_names_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE, photometric="minisblack", compression="packbits")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        struct.pack_into("<H", content, tags["BitsPerSample"].valueoffset, 64)
    path.write_bytes(content)
    refused(path, "damaged|cut")


def test_header_of_numpy_of_which_python_warns_is_refused(tmp_path):
    for shape in (b"(2\\,2)", b"(2if 2else 2,)"):
        text = b"{'descr': '|u1', 'fortran_order': False, 'shape': %s}\n" % shape
        path = tmp_path / "a.npy"
        path.write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + bytes(4))
        refused(path, "no header of NumPy")


HUGE = bytes(2**24)


@pytest.mark.parametrize("codec", ["Blosc", "Zstd", "GZip", "Zlib", "LZ4"])
def test_zarr_whose_chunk_unpacks_to_more_than_its_shape_is_refused(tmp_path, codec):
    zarr, numcodecs = pytest.importorskip("zarr"), pytest.importorskip("numcodecs")
    one, path = getattr(numcodecs, codec)(), tmp_path / "a.zarr"
    zarr.create_array(str(path), data=PLANE, zarr_format=2, compressors=one)
    assert (read_labels(path).array == PLANE).all()
    (path / "0.0").write_bytes(one.encode(HUGE))
    refused(path, "a chunk unpacks to [0-9]{7,8} bytes where")


def test_zarr_whose_chunk_does_not_say_its_size_is_refused_if_it_is_large(tmp_path):
    zarr = pytest.importorskip("zarr")
    path, size = tmp_path / "a.zarr", 2**16
    zarr.create_array(str(path), data=PLANE, compressors=zarr.codecs.ZstdCodec())
    block = lambda last: ((size << 3) | (1 << 1) | last).to_bytes(3, "little") + b"\0"
    frame = b"\x28\xb5\x2f\xfd" + bytes([0, 0x58])  # no size, a window of 2 MiB
    (path / "c" / "0" / "0").write_bytes(frame + 99 * block(0) + block(1))
    refused(path, f"a chunk unpacks to {100 * size} bytes where")


@pytest.mark.parametrize("place", ["start", "end"])
def test_zarr_whose_shard_unpacks_to_more_than_its_shape_is_refused(tmp_path, place):
    zarr, crc = pytest.importorskip("zarr"), pytest.importorskip("google_crc32c")
    path, data = tmp_path / "a.zarr", np.arange(64, dtype=np.uint8).reshape(8, 8)
    shards, gzip_ = {"shape": (8, 8), "index_location": place}, zarr.codecs.GzipCodec()
    zarr.create_array(str(path), data=data, chunks=(4, 4), shards=shards, compressors=gzip_)
    assert (read_labels(path).array == data).all()
    assert (open_labels(path).array[2:6, 0:3] == data[2:6, 0:3]).all()
    chunks = [gzip.compress(bytes(16))] * 3 + [gzip.compress(HUGE)]
    at = 4 * 16 + 4 if place == "start" else 0
    index = b"".join(
        struct.pack("<QQ", at + sum(map(len, chunks[:i])), len(chunk))
        for i, chunk in enumerate(chunks)
    )
    parts = [index + struct.pack("<I", crc.value(index)), b"".join(chunks)]
    (path / "c" / "0" / "0").write_bytes(b"".join(parts if place == "start" else parts[::-1]))
    refused(path, "a chunk unpacks to [0-9]{7,8} bytes where")
    stored = open_labels(path).array
    assert not stored[0:2, 0:2].any()
    with pytest.raises(InputError, match="a chunk unpacks to"):
        stored[6:8, 6:8]


@pytest.mark.parametrize("codec", ["BZ2", "LZMA"])
def test_zarr_packed_to_an_unknown_size_is_refused(tmp_path, codec):
    zarr, numcodecs = pytest.importorskip("zarr"), pytest.importorskip("numcodecs")
    one = getattr(numcodecs, codec)()
    zarr.create_array(str(tmp_path / "a.zarr"), data=PLANE, zarr_format=2, compressors=one)
    refused(tmp_path / "a.zarr", f"is packed by {codec.lower()}; write it again with Blosc")


def test_zarr_that_is_packed_twice_is_refused(tmp_path):
    zarr = pytest.importorskip("zarr")
    both = [zarr.codecs.GzipCodec(), zarr.codecs.ZstdCodec()]
    zarr.create_array(str(tmp_path / "a.zarr"), data=PLANE, compressors=both)
    refused(tmp_path / "a.zarr", "is packed by bytes, gzip, zstd; write it again")


def test_zarr_whose_chunks_hide_their_size_is_refused(tmp_path):
    zarr, numcodecs = pytest.importorskip("zarr"), pytest.importorskip("numcodecs")
    options = {"zarr_format": 2, "filters": [numcodecs.Blosc()], "compressors": numcodecs.CRC32()}
    zarr.create_array(str(tmp_path / "a.zarr"), data=PLANE, **options)
    refused(tmp_path / "a.zarr", "is packed by blosc, crc32; write it again")


# Headers that promise too much


def bomb(path):
    """100,000 x 100,000 voxels in a few bytes."""
    n = 100_000
    if path.suffix == ".tif":
        entries = [(256, 4, n), (257, 4, n), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
        entries += [(273, 4, 8), (277, 3, 1), (278, 4, n), (279, 4, 99)]
        tags = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
        path.write_bytes(b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + tags + bytes(99))
    elif path.suffix == ".png":
        path.write_bytes(files.png(n, n, 8, 0, b"\0"))
    elif path.suffix == ".bmp":
        info = struct.pack("<IiiHHIIiiII", 40, n, n, 1, 8, 0, 0, 1, 1, 256, 0)
        path.write_bytes(b"BM" + struct.pack("<IHHI", 99, 0, 0, 54 + 1024) + info + bytes(1024))
    elif path.suffix == ".npy":
        path.write_bytes(files.npy_header((n, n)) + b"\0")
    elif path.suffix == ".npz":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("labels.npy", files.npy_header((n, n)) + bytes(9))
    elif path.suffix in (".nii", ".gz"):
        header = bytearray(352)
        struct.pack_into("<i", header, 0, 348)
        struct.pack_into("<8h", header, 40, 3, 30_000, 30_000, 30_000, 1, 1, 1, 1)
        struct.pack_into("<3h8f3f", header, 70, 2, 8, 0, *[1.0] * 8, 352.0, 1.0, 0.0)
        header[344:348] = b"n+1\0"
        path.write_bytes(gzip.compress(bytes(header)) if path.suffix == ".gz" else bytes(header))
    elif path.suffix == ".nrrd":
        path.write_bytes(
            b"NRRD0004\ntype: uint8\ndimension: 2\nsizes: 100000 100000\nencoding: raw\n\n\0"
        )
    else:
        path.write_bytes(
            b"ObjectType = Image\nNDims = 2\nDimSize = 100000 100000\n"
            b"ElementType = MET_UCHAR\nElementDataFile = LOCAL\n\0"
        )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_header_that_promises_too_much_is_refused_before_allocation(tmp_path, suffix):
    pytest.importorskip(PACKAGES.get(suffix, "numpy"))
    bomb(tmp_path / f"a{suffix}")
    refused(tmp_path / f"a{suffix}", "promises [0-9]{11,} voxels.*max-voxels")


def test_zarr_that_promises_too_much_is_refused(tmp_path):
    zarr = pytest.importorskip("zarr")
    many = {"shape": (100_000, 100_000), "chunks": (9, 9), "dtype": "u1"}
    zarr.create_array(str(tmp_path / "a.zarr"), **many)
    refused(tmp_path / "a.zarr", "promises 10000000000 voxels")
    zarr.create_array(str(tmp_path / "b.zarr"), shape=(9, 9), chunks=(100_000, 100_000), dtype="u1")
    refused(tmp_path / "b.zarr", "promises 10000000000 voxels")


@pytest.mark.parametrize(
    ("suffix", "size"), [(".tif", "10.0 GB"), (".npy", "10.0 GB"), (".nii", "27000.0 GB")]
)
def test_memory_that_would_be_needed_is_told(tmp_path, suffix, size):
    pytest.importorskip(PACKAGES.get(suffix, "numpy"))
    bomb(tmp_path / f"a{suffix}")
    refused(tmp_path / f"a{suffix}", f"need {size} of memory or more")


def test_more_than_the_machine_has_is_refused_whatever_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("segjax.io.volume._memory", lambda: 200)
    path = saved(tmp_path / "a.npy", LABELS)  # 105 voxels of two bytes
    words = "its 105 voxels need 210 B of memory or more, and this machine has 200 B; crop it"
    refused(path, words, max_voxels=10**15)
    monkeypatch.setattr("segjax.io.volume._memory", lambda: 210)
    assert read_labels(path).array.size == 105
    monkeypatch.setattr("segjax.io.volume._memory", lambda: None)
    assert read_labels(path).array.size == 105


def test_memory_that_runs_out_is_told_with_what_was_wanted(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.npy", LABELS)

    def full(*_, **__):
        raise MemoryError("Unable to allocate 2.00 GiB for an array with shape (9,)")

    monkeypatch.setattr("segjax.io.formats.npy.read_array", full)
    refused(path, r"does not fit in memory \(Unable to allocate 2.00 GiB .*crop it or split it")


def test_limit_can_be_lowered(tmp_path):
    path = saved(tmp_path / "a.npy", LABELS)
    assert read_labels(path, max_voxels=LABELS.size).array.size == LABELS.size
    refused(path, "promises 105 voxels", max_voxels=LABELS.size - 1)


def test_npz_whose_content_exceeds_its_header_is_read_no_further(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.npy", files.npy_header((2, 2)) + bytes(50_000_000))
    assert read_labels(path).array.shape == (2, 2)


def test_detached_header_cannot_point_outside_its_folder(tmp_path):
    pytest.importorskip("SimpleITK")
    path = tmp_path / "a.mhd"
    path.write_text(
        "ObjectType = Image\nNDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\n"
        "ElementDataFile = /etc/hostname\n"
    )
    refused(path, "points to voxels in /etc/hostname")


# Packages that are not installed


@pytest.mark.parametrize(
    ("suffix", "package", "mend"),
    [
        (".nii", "nibabel", r'pip install "segjax\[medical\]"'),
        (".mha", "SimpleITK", r'pip install "segjax\[itk\]"'),
        (".png", "PIL", "pip install pillow"),
    ],
)
def test_missing_package_says_what_to_install(tmp_path, monkeypatch, suffix, package, mend):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"x" * 400)
    refused(path, mend)


def test_missing_zarr_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    path = files.touch(tmp_path / "a.zarr", "zarr.json")
    refused(path, r'pip install "segjax\[zarr\]"')


def test_lzw_without_imagecodecs_says_what_to_install(tmp_path, monkeypatch):
    pytest.importorskip("imagecodecs")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE, compression="lzw")
    for name in [name for name in sys.modules if name.split(".")[0] == "tifffile"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    refused(path, r'LZW.*pip install "segjax\[io\]"')
