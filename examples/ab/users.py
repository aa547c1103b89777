"""Users of a bot, as an application sees them: each gets the version that `kf ab assign` gives, without asking kf.

    python3 users.py TEST SPLIT COUNT SOLVED-CONTROL SOLVED-TREATMENT MS-CONTROL MS-TREATMENT > results.csv

The hash is that of kf's flags (docs/flags.md): MurmurHash3 of the array of test and user in CBOR, times 10,000, over 2**32.
"""

import random
import sys


def text(value):
    """A text in CBOR; users and tests have short names here."""
    raw = value.encode()
    assert len(raw) < 24, "longer texts have another head, see RFC 8949"
    return bytes([0x60 | len(raw)]) + raw


def murmur3(data):
    mask, h = 0xFFFFFFFF, 0

    def rotated(x, by):
        return ((x << by) | (x >> (32 - by))) & mask

    def mixed(k):
        return (rotated((k * 0xCC9E2D51) & mask, 15) * 0x1B873593) & mask

    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        h = (rotated(h ^ mixed(int.from_bytes(data[at : at + 4], "little")), 13) * 5 + 0xE6546B64) & mask
    h ^= mixed(int.from_bytes(data[whole:], "little")) ^ len(data)
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & mask
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & mask
    return h ^ (h >> 16)


def variant(test, user, split):
    bucket = murmur3(b"\x82" + text(test) + text(user)) * 10_000 >> 32
    return "treatment" if bucket < split * 100 else "control"


if __name__ == "__main__":
    test, split, count, *rates = sys.argv[1:]
    solved, ms = dict(control=float(rates[0]), treatment=float(rates[1])), dict(control=float(rates[2]), treatment=float(rates[3]))
    chance = random.Random(7)
    print("unit,variant,solved,latency-ms")
    for n in range(int(count)):
        user = f"user-{n}"
        got = variant(test, user, float(split))
        print(f"{user},{got},{int(chance.random() < solved[got])},{chance.gauss(ms[got], 60):.1f}")
