import sys

import pytest

from datagen.memory import forget_peak, peak_mb


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can set the peak back")
def test_the_peak_is_that_of_the_time_since_it_was_forgotten() -> None:
    forget_peak()
    block = bytearray(b"x" * (200 << 20))
    high = peak_mb()
    del block
    forget_peak()
    assert high > 200
    assert peak_mb() < high - 150
