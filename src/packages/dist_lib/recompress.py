"""Compresses the files of a zip archive again, with libdeflate: a twentieth smaller than what Python's zlib makes of a program.

A program of its own, because only the environment of the build backend has the library. `zipfile` cannot write data that is
compressed already, so the records of the format are written here (APPNOTE.TXT of PKWARE; no zip64, which below 4 GB and 65,535
files nothing needs).
"""

import struct
import sys
import zipfile
from pathlib import Path

import deflate

LEVEL = 12
# PKZIP 2.0, on Unix.
VERSION, SYSTEM = 20, 3
DEFLATED = 8


def recompress(path):
    """Replaces the archive: same files, times, permissions and order."""
    body, directory = bytearray(), bytearray()
    with zipfile.ZipFile(path) as archive:
        entries = [(entry, archive.read(entry)) for entry in archive.infolist()]
    for entry, content in entries:
        name, packed = entry.filename.encode(), deflate.deflate_compress(content, LEVEL)
        year, month, day, hour, minute, second = entry.date_time
        moment = hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day
        flags = 0 if entry.filename.isascii() else 0x800
        common = struct.pack(
            "<5H3I2H", VERSION, flags, DEFLATED, *moment, entry.CRC, len(packed), len(content), len(name), 0
        )
        attributes = struct.pack("<3H2I", 0, 0, 0, entry.external_attr, len(body))
        directory += b"PK\1\2" + bytes([VERSION, SYSTEM]) + common + attributes + name
        body += b"PK\3\4" + common + name + packed
    end = struct.pack("<4H2IH", 0, 0, len(entries), len(entries), len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\5\6" + end)


if __name__ == "__main__":
    recompress(Path(sys.argv[1]))
