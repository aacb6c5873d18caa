"""Every program of tests/attacks, wherever its header says: that it fails, for the right reason, and
that host, server and other sandboxes do not notice."""
import pytest

from attack_world import ATTACKS, World, groups_of, judge
from client import together
from host_watch import HostWatch

BUILDERS = [one for one in ATTACKS if "build" in one.places]


@pytest.fixture(scope="module")
def world(server, tmp_path_factory):
    """The surroundings that all attacks share; looked at after each."""
    watch = HostWatch(server)
    one = World(server, watch, tmp_path_factory.mktemp("attacks"))
    yield one
    watch.check_store()
    one.close()
    watch.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_fails_for_the_reason_it_names(world, attack):
    """In all places at the same time."""
    places = [place for place in attack.places if place != "build"]
    outcomes = together([lambda place=place: world.run(attack, place) for place in places])
    for place, outcome in zip(places, outcomes):
        judge(attack, outcome, place)
    world.check()


@pytest.mark.deadline(120)
@pytest.mark.parametrize("group", groups_of(BUILDERS), ids=lambda group: group[0].name)
def test_a_setup_script_gets_no_further(world, group):
    outcomes = world.build(group)
    for attack in group:
        assert attack.name in outcomes, f"{attack.name} was not reached: {outcomes}"
        judge(attack, outcomes[attack.name], "build")
    world.check()
