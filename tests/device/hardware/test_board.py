from device.hardware.board import Board
from protocol.health import Supply


def make_board(tmp_path, *, temp=None, alarm=None):
    """A Pi's part of /sys/class; what is None is not there."""
    tree = tmp_path / "sys"
    zone = tree / "thermal" / "thermal_zone0"
    zone.mkdir(parents=True)
    if temp is not None:
        (zone / "temp").write_text(temp)
    for name, sensor in (("hwmon0", "cpu_thermal"), ("hwmon1", "rpi_volt")):
        if sensor == "rpi_volt" and alarm is None:
            continue
        (tree / "hwmon" / name).mkdir(parents=True)
        (tree / "hwmon" / name / "name").write_text(sensor + "\n")
    if alarm is not None:
        (tree / "hwmon" / "hwmon1" / "in0_lcrit_alarm").write_text(alarm)
    return Board(disk=tmp_path, tree=tree)


def test_a_pi_tells_its_temperature(tmp_path):
    assert make_board(tmp_path, temp="55121\n").temperature_cc() == 5512


def test_what_is_no_temperature_is_not_told(tmp_path):
    board = make_board(tmp_path, temp="x")
    assert board.temperature_cc() is None
    (tmp_path / "sys" / "thermal" / "thermal_zone0" / "temp").write_text("99999999")
    assert board.temperature_cc() is None


def test_a_low_supply_is_told_and_remembered(tmp_path):
    board, alarm = make_board(tmp_path, alarm="0\n"), tmp_path / "sys" / "hwmon" / "hwmon1" / "in0_lcrit_alarm"
    told = [board.supply()]
    for state in ("1\n", "0\n"):
        alarm.write_text(state)
        told.append(board.supply())
    assert told == [Supply.GOOD, Supply.LOW, Supply.WAS_LOW]


def test_another_computer_has_no_watched_supply(tmp_path):
    board = make_board(tmp_path)
    assert (board.supply(), board.temperature_cc()) == (None, None)
    assert Board(disk=tmp_path, tree=tmp_path / "nowhere").supply() is None


def test_any_machine_has_a_disk(tmp_path):
    free, size = make_board(tmp_path).disk_mib()
    assert 0 < free <= size
    assert Board(disk=tmp_path / "gone").disk_mib() is None
