"""Some lines of a file, byte for byte as they came, as a file of its own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from koukan.codecs import render
from koukan.codecs.digits import Ints, eight_digits, two_digits, words_of
from koukan.codecs.gate import TOTAL_MODULUS, Layout, layout_of
from koukan.codecs.records import joined, line_offsets, lines_of
from koukan.formats.model import Format


def whose(layout: Layout, content: bytes, starts: Ints) -> tuple[Ints, Ints]:
    """保険者コード and レコード識別番号 of lines by their starts, in a file that names insurers."""
    octets = np.frombuffer(content, np.uint8)
    words = words_of(octets)
    assert layout.insurer is not None
    insurers, _ = eight_digits(words[starts + layout.insurer])
    high, _ = eight_digits(words[starts + layout.number])
    low, _ = two_digits(octets, starts + layout.number + 8)
    return insurers, high * 100 + low


class Extract:
    """Chooses lines of one insurer and keeps their sums, for an end record that fits them.

    The file has passed the gate: leading fields stand where the definition says.
    """

    def __init__(self, form: Format, insurer: str) -> None:
        self.form = form
        self.rows = 0
        self._insurer = int(insurer)
        self._layout = layout_of(form)
        self._counts = np.zeros(100, np.int64)
        self._total = 0

    def chosen(self, content: bytes, row: int, wanted: Ints) -> bytes:
        """The wanted lines among whole lines of the file, of which the first is data record `row`.

        Args:
            wanted: numbers of data records, from 0, ascending.
        """
        offsets = line_offsets(content)
        start, stop = np.searchsorted(wanted, (row, row + len(offsets) - 1))
        places = wanted[start:stop] - row
        insurers, numbers = whose(self._layout, content, offsets[places])
        own = insurers == self._insurer
        places = places[own]
        octets = np.frombuffer(content, np.uint8)
        types, _ = two_digits(octets, offsets[places] + self._layout.type)
        self._total += int(numbers[own].sum())
        self._counts += np.bincount(types, minlength=100)
        self.rows += len(places)
        return bytes(joined(lines_of(content, offsets).take(pa.array(places))))

    def end(self) -> bytes:
        """The end record of what was chosen so far."""
        counts = {"record_count": self.rows} | {
            f"{record.section}_count": int(self._counts[int(record.code)])
            for record in self.form.records
        }
        values = {name: f"{count:08d}" for name, count in counts.items()}
        values["control_total"] = f"{self._total % TOTAL_MODULUS:018d}"
        samples = {item.name: item.sample for item in self.form.end}
        return render.single(self.form, self.form.end, samples | values)
