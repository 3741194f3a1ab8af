"""Read scale and names from OME-XML, and revise it for an image made from that one.

References
----------
Goldberg, I. G. et al. (2005). The Open Microscopy Environment (OME) Data Model and XML file.
Genome Biology 6, R47. https://doi.org/10.1186/gb-2005-6-5-r47
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from biostyle.io.volume_info import VolumeInfo

_TYPES = {"float32": "float", "float64": "double"}
_BEFORE_DESCRIPTION = ("AcquisitionDate", "ExperimenterRef")


@dataclass(frozen=True)
class OmeScale:
    """Distances in space and time, and names.

    Parameters
    ----------
    pixel_size : mapping of str to float
        Distance between pixels along "Z", "Y" and "X", where it is known.
    pixel_unit : str
        Its unit.
    time_increment : float or None
        Time between frames.
    time_unit : str
        Its unit.
    channel_names : tuple of str
        Names along C.
    description : str
        Free text of the image.
    """

    pixel_size: Mapping[str, float] = field(default_factory=dict)
    pixel_unit: str = ""
    time_increment: float | None = None
    time_unit: str = ""
    channel_names: tuple[str, ...] = ()
    description: str = ""


def ome_scale(xml: str, image: int) -> OmeScale:
    """Read the scale of one image.

    Parameters
    ----------
    xml : str
        OME-XML.
    image : int
        Number of the image, counted from 0.

    Returns
    -------
    OmeScale
        What the XML says.
    """
    root = _parse(xml)
    element = root.findall("{*}Image")[image]
    pixels = _child(element, "Pixels")
    size = {axis: float(pixels.get(f"PhysicalSize{axis}", "nan")) for axis in "ZYX"}
    known = {axis: value for axis, value in size.items() if value > 0}
    names = tuple(channel.get("Name", "") for channel in pixels.findall("{*}Channel"))
    increment = pixels.get("TimeIncrement")
    description = element.find("{*}Description")
    return OmeScale(
        known,
        pixels.get("PhysicalSizeXUnit", "µm") if known else "",
        None if increment is None else float(increment),
        pixels.get("TimeIncrementUnit", "s") if increment else "",
        names if any(names) else (),
        (description.text or "") if description is not None else "",
    )


def revise_ome_xml(xml: str, image: int, info: VolumeInfo, note: str) -> str:
    """Describe a new image by the OME-XML of the one it was made from.

    Everything is kept but what is no longer true: other images of the file, where the planes lie, the pixel
    type and its significant bits, the file's identity, and channels that were left out.

    Parameters
    ----------
    xml : str
        OME-XML of the input.
    image : int
        Number of the input's image, counted from 0.
    info : VolumeInfo
        The new image; its planes are written in the order of its axes.
    note : str
        Line added to the image's description.

    Returns
    -------
    str
        OME-XML in which the planes follow one another from the first page on.
    """
    root = _parse(xml)
    namespace = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    ET.register_namespace("", namespace.strip("{}"))
    root.attrib.pop("UUID", None)
    images = root.findall("{*}Image")
    for other in images[:image] + images[image + 1 :]:
        root.remove(other)
    element = images[image]
    _add_note(element, namespace, note)
    pixels = _child(element, "Pixels")
    pixels.attrib.pop("SignificantBits", None)
    outer = [axis for axis in info.axes if axis in "TCZ"]
    order = outer + [axis for axis in "TZC" if axis not in outer]
    n_samples = info.size("S")
    pixels.attrib.update(
        {
            "Type": _TYPES.get(info.dtype.name, info.dtype.name),
            "DimensionOrder": "XY" + "".join(reversed(order)),
            **{f"Size{axis}": str(info.size(axis)) for axis in "TZYX"},
            "SizeC": str(info.size("C") * n_samples),
        }
    )
    _keep_channel(pixels, info.metadata.get("selected_channel"))
    for name in ("TiffData", "BinData", "MetadataOnly"):
        for obsolete in pixels.findall(f"{{*}}{name}"):
            pixels.remove(obsolete)
    n_planes = info.size("T") * info.size("C") * info.size("Z")
    position = sum(child.tag.endswith("}Channel") or child.tag == "Channel" for child in pixels)
    pixels.insert(position, ET.Element(f"{namespace}TiffData", {"IFD": "0", "PlaneCount": str(n_planes)}))
    return '<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(root, encoding="unicode")


def _parse(xml: str) -> ET.Element:
    """Parse OME-XML; a damaged one is a damaged file."""
    try:
        return ET.fromstring(xml)
    except ET.ParseError as error:
        raise ValueError(f"OME-XML is damaged: {error}") from error


def _child(element: ET.Element, name: str) -> ET.Element:
    """Return a child that has to be there."""
    child = element.find(f"{{*}}{name}")
    if child is None:
        raise ValueError(f"OME-XML has no {name}")
    return child


def _add_note(element: ET.Element, namespace: str, note: str) -> None:
    """Add a line to an image's description, which is made where it is missing."""
    description = element.find("{*}Description")
    if description is None:
        description = ET.Element(f"{namespace}Description")
        position = sum(child.tag.rpartition("}")[2] in _BEFORE_DESCRIPTION for child in element)
        element.insert(position, description)
    description.text = f"{description.text}\n{note}" if description.text else note


def _keep_channel(pixels: ET.Element, selected: Any) -> None:
    """Drop the channels, and their planes' metadata, that were not selected."""
    if selected is None:
        return
    axis, number, *_ = selected
    channels = pixels.findall("{*}Channel")
    if axis == "S":
        pixels.attrib.pop("Interleaved", None)
        for channel in channels:
            channel.attrib.pop("SamplesPerPixel", None)
        return
    for channel in channels[:number] + channels[number + 1 :]:
        pixels.remove(channel)
    for plane in pixels.findall("{*}Plane"):
        if plane.get("TheC") == str(number):
            plane.set("TheC", "0")
        else:
            pixels.remove(plane)
