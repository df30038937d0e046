"""The two laws of ITU-T G.711, each in terms of the other, by the tables of the Recommendation itself (s3, tables 3 and 4).

By way of linear samples other codes would come out: the tables give back all but eight of each sign after a round trip, and what they
changed once they leave alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from media.api import Law

_A_OF_MU = bytes.fromhex(
    "2a2b28292e2f2c2d22232021262724253a3b38393e3f3c3d3233303136373435"
    "0a0b08090e0f0c0d020300010607041a1b18191e1f1c1d12131011161714156a"
    "68696e6f6c6d62636061666764657a787e7f7c7d72737071767774754b494f4d"
    "42434041464744455a5b58595e5f5c5d52525353505051515656575754545555"
    "aaaba8a9aeafacada2a3a0a1a6a7a4a5babbb8b9bebfbcbdb2b3b0b1b6b7b4b5"
    "8a8b88898e8f8c8d828380818687849a9b98999e9f9c9d9293909196979495ea"
    "e8e9eeefecede2e3e0e1e6e7e4e5faf8fefffcfdf2f3f0f1f6f7f4f5cbc9cfcd"
    "c2c3c0c1c6c7c4c5dadbd8d9dedfdcddd2d2d3d3d0d0d1d1d6d6d7d7d4d4d5d5"
)
_MU_OF_A = bytes.fromhex(
    "2a2b28292e2f2c2d2223202126272425393a37383d3e3b3c31322f3035363334"
    "0a0b08090e0f0c0d02030001060704051a1b18191e1f1c1d1213101116171415"
    "62636061666764655d5d5c5c5f5f5e5e747670727c7e787a6a6b68696e6f6c6d"
    "484946474c4d4a4b40413f3f44454243565754555a5b58594f4f4e4e52535051"
    "aaaba8a9aeafacada2a3a0a1a6a7a4a5b9bab7b8bdbebbbcb1b2afb0b5b6b3b4"
    "8a8b88898e8f8c8d82838081868784859a9b98999e9f9c9d9293909196979495"
    "e2e3e0e1e6e7e4e5dddddcdcdfdfdedef4f6f0f2fcfef8faeaebe8e9eeefeced"
    "c8c9c6c7cccdcacbc0c1bfbfc4c5c2c3d6d7d4d5dadbd8d9cfcfceced2d3d0d1"
)

# By the law that comes out.
TABLES: Mapping[Law, bytes] = {Law.A: _A_OF_MU, Law.MU: _MU_OF_A}
