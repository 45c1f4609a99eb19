from __future__ import annotations

from datagen.rng import derive, derive_seed


def test_a_seed_depends_on_its_parts_alone_and_never_changes() -> None:
    assert derive_seed(0, "tasks", "abc") == derive_seed(0, "tasks", "abc") == SEED
    assert derive(1, "x").random() == derive(1, "x").random()


def test_other_parts_give_other_seeds() -> None:
    seeds = {derive_seed(*parts) for parts in [(0,), (1,), (0, "a"), (0, "b"), ("0a",), (0, "a", "")]}
    assert len(seeds) == 6


def test_a_seed_fits_63_bits_and_takes_any_text() -> None:
    assert all(0 <= derive_seed(n, "\ud800") < 2**63 for n in range(100))


SEED = 133035112804909722
