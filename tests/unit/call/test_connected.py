from __future__ import annotations

from sbc.call.connected import ConnectedIdentity
from sbc.call.crossing import Said
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.names import P_ASSERTED_IDENTITY
from tests.scenarios.cast import TRUSTED, policy
from tests.world import snapshot_of

CAROL = Said((NameAddr.parse('"Carol" <sip:+4930222@invalid;user=phone>'),))
DAVE = Said((NameAddr.parse('"Dave" <sip:+4930333@invalid;user=phone>'),))


def test_ID_06_a_peer_is_told_once_and_again_when_it_is_somebody_else() -> None:
    """A call taken over by whoever it was with brings no UPDATE."""
    connected = ConnectedIdentity(snapshot_of(policy(office=TRUSTED)).trunks["office"])
    assert not connected.untold
    for said in (CAROL, DAVE):
        connected.learn(said, "10.0.0.1")
        assert connected.untold
        assert [name for name, _ in connected.rows("10.0.0.1")] == [P_ASSERTED_IDENTITY]
        connected.learn(said, "10.0.0.1")
        assert not connected.untold
