"""OME-XML is kept but for what is no longer true."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from biostyle.io.ome_xml import ome_scale, revise_ome_xml
from biostyle.io.volume_info import VolumeInfo

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="{NAMESPACE}" UUID="urn:uuid:1" Creator="a microscope">
  <Instrument ID="Instrument:0"><Objective ID="Objective:0" LensNA="1.4"/></Instrument>
  <Image ID="Image:0" Name="overview"><Pixels ID="Pixels:0" SizeX="9" SizeY="9" SizeZ="1" SizeC="1" SizeT="1"
    Type="uint8" DimensionOrder="XYCZT"><Channel ID="Channel:0:0"/><TiffData/></Pixels></Image>
  <Image ID="Image:1" Name="cells"><AcquisitionDate>2020-01-02T03:04:05</AcquisitionDate>
    <Pixels ID="Pixels:1" SizeX="50" SizeY="40" SizeZ="1" SizeC="2" SizeT="3" Type="uint16" SignificantBits="12"
      DimensionOrder="XYCZT" PhysicalSizeX="0.65" PhysicalSizeXUnit="µm" PhysicalSizeY="0.65" TimeIncrement="5"
      TimeIncrementUnit="min">
      <Channel ID="Channel:1:0" Name="phase"/><Channel ID="Channel:1:1" Name="GFP" EmissionWavelength="510"/>
      <TiffData IFD="4" FirstT="0"/><TiffData IFD="5"/>
      <Plane TheZ="0" TheC="0" TheT="0" DeltaT="0.1"/><Plane TheZ="0" TheC="1" TheT="0" DeltaT="0.2"/>
    </Pixels></Image>
  <StructuredAnnotations><XMLAnnotation ID="Annotation:0"><Value><x>kept</x></Value></XMLAnnotation>
  </StructuredAnnotations>
</OME>"""
INFO = VolumeInfo(Path("a.tif"), "ome", (3, 2, 40, 50), "TCYX", np.dtype("float32"))


def revised(info: VolumeInfo) -> ET.Element:
    return ET.fromstring(revise_ome_xml(XML, 1, info, "stylized"))


def test_scale() -> None:
    scale = ome_scale(XML, 1)
    assert (scale.pixel_size, scale.pixel_unit) == ({"Y": 0.65, "X": 0.65}, "µm")
    assert (scale.time_increment, scale.time_unit) == (5, "min")
    assert (scale.channel_names, scale.description) == (("phase", "GFP"), "")
    assert ome_scale(XML, 0).pixel_size == {}


def test_the_rest_is_kept() -> None:
    root = revised(INFO)
    ns = f"{{{NAMESPACE}}}"
    assert root.attrib == {"Creator": "a microscope"}
    assert [image.get("Name") for image in root.findall(f"{ns}Image")] == ["cells"]
    assert root.find(f".//{ns}Objective").get("LensNA") == "1.4"  # type: ignore[union-attr]
    assert root.findtext(f".//{ns}x") == "kept"
    image = root.find(f"{ns}Image")
    assert image is not None
    assert [child.tag.removeprefix(ns) for child in image] == ["AcquisitionDate", "Description", "Pixels"]
    pixels = image.find(f"{ns}Pixels")
    assert pixels is not None
    assert pixels.get("Type") == "float"
    assert pixels.get("DimensionOrder") == "XYZCT"
    assert pixels.get("SignificantBits") is None
    names = [child.tag.removeprefix(ns) for child in pixels]
    assert names == ["Channel", "Channel", "TiffData", "Plane", "Plane"]
    assert pixels.find(f"{ns}TiffData").attrib == {"IFD": "0", "PlaneCount": "6"}  # type: ignore[union-attr]


def test_a_selected_channel_takes_its_metadata_along() -> None:
    pixels = revised(INFO.select_channel(1)).find(f".//{{{NAMESPACE}}}Pixels")
    assert pixels is not None
    assert pixels.get("SizeC") == "1"
    assert [channel.get("Name") for channel in pixels.findall("{*}Channel")] == ["GFP"]
    assert [plane.attrib for plane in pixels.findall("{*}Plane")] == [
        {"TheZ": "0", "TheC": "0", "TheT": "0", "DeltaT": "0.2"}
    ]


def test_a_description_grows() -> None:
    once = revise_ome_xml(XML, 1, INFO, "stylized")
    assert ome_scale(revise_ome_xml(once, 0, INFO, "segmented"), 0).description == "stylized\nsegmented"


def test_damaged_xml() -> None:
    with pytest.raises(ValueError, match="OME-XML is damaged: "):
        ome_scale(XML[:-20], 0)
    with pytest.raises(ValueError, match="OME-XML has no Pixels"):
        ome_scale(XML.replace("Pixels", "Pixel"), 0)
