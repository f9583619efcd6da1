"""The broker's list of devices follows the registry, whatever the broker had before."""

import json

import pytest

from hub.broker.access import CONTROL, AccessControl, initial_security, role_name

NORTH, SOUTH = bytes.fromhex("aa00000000000001"), bytes.fromhex("bb00000000000002")


class FakeBroker:
    """Mosquitto's dynamic security, as far as it is used: clients, each with roles."""

    def __init__(self):
        self.clients = {client["username"]: ["hub"] for client in initial_security()["clients"]}
        self.roles = {role["rolename"]: role["acls"] for role in initial_security()["roles"]}
        self.sent, self.up = [], True
        self.control = AccessControl(publish=self.publish)

    def publish(self, messages):
        if not self.up:
            return False
        for message in list(messages):
            assert message.topic == CONTROL
            assert len(message.payload) < 64 * 1024
            self.sent.append(message)
        return True

    def answer(self):
        while self.sent:
            responses = [self._do(command) for command in json.loads(self.sent.pop(0).payload)["commands"]]
            payload = json.dumps({"responses": responses}).encode()
            assert len(payload) < 64 * 1024
            self.control.take(payload)

    def _do(self, command):
        name = command["command"]
        answer = {key: command[key] for key in ("command", "correlationData") if key in command}
        if name == "listClients":
            clients = [
                {"username": user, "roles": [{"rolename": role} for role in roles], "groups": []}
                for user, roles in sorted(self.clients.items())
            ]
            page = clients[command["offset"] : command["offset"] + command["count"]]
            return answer | {"data": {"totalCount": len(clients), "clients": page}}
        if name == "deleteClient":
            return answer if self.clients.pop(command["username"], None) else answer | {"error": "Client not found"}
        if name == "deleteRole":
            for roles in self.clients.values():
                roles[:] = [role for role in roles if role != command["rolename"]]
            return answer if self.roles.pop(command["rolename"], None) else answer | {"error": "Role not found"}
        if name == "createRole":
            self.roles[command["rolename"]] = command["acls"]
        if name == "createClient":
            if command["username"] in self.clients:
                return answer | {"error": "Client already exists"}
            self.clients[command["username"]] = [role["rolename"] for role in command["roles"]]
        return answer

    def devices(self):
        return {name: "".join(roles) for name, roles in self.clients.items() if name != "hub"}


@pytest.fixture
def broker():
    return FakeBroker()


def test_a_broker_that_began_with_the_devices_is_told_nothing(broker):
    security = initial_security({NORTH: "mall", SOUTH: "mall"})
    broker.clients = {
        client["username"]: [role["rolename"] for role in client["roles"]] for client in security["clients"]
    }
    broker.roles = {role["rolename"]: role["acls"] for role in security["roles"]}
    broker.control.want({NORTH: "mall", SOUTH: "mall"})
    broker.control.connected()
    broker.answer()
    assert broker.control.settled
    told = FakeBroker()
    told.control.connected()
    told.control.want({NORTH: "mall", SOUTH: "mall"})
    told.answer()
    told.answer()
    assert (told.clients, told.roles) == (broker.clients, broker.roles)


def test_a_device_gets_its_own_topics_and_its_places(broker):
    broker.control.connected()
    broker.control.want({NORTH: "mall"})
    broker.answer()
    broker.answer()
    assert broker.devices() == {NORTH.hex(): role_name(NORTH, "mall")}
    rules = {(acl["acltype"], acl["topic"]) for acl in broker.roles[role_name(NORTH, "mall")]}
    own = f"gatelight/1/d/aa/{NORTH.hex()}"
    assert ("publishClientSend", f"{own}/checkins") in rules
    assert ("subscribePattern", f"{own}/#") in rules
    assert ("publishClientSend", "gatelight/1/p/mall/used") in rules
    # It cannot write what only the hub says, not even to itself.
    assert not {topic for kind, topic in rules if kind == "publishClientSend"} & {
        f"{own}/{leaf}" for leaf in ("receipts", "policy", "commands", "resolved", "time", "#")
    }
    assert not any(topic.startswith("$CONTROL") for _, topic in rules)
    assert broker.control.settled


def test_what_the_broker_forgot_is_put_right_at_the_next_connection(broker):
    broker.control.want({NORTH: "mall", SOUTH: "mall"})
    broker.control.connected()
    broker.answer()
    broker.answer()
    broker.clients.pop(SOUTH.hex())
    broker.clients["ee00000000000009"] = ["ee00000000000009@mall"]
    broker.control.connected()
    broker.answer()
    broker.answer()
    assert set(broker.devices()) == {NORTH.hex(), SOUTH.hex()}


def test_a_revoked_device_is_taken_away_before_anything_else(broker):
    broker.control.connected()
    broker.control.want({NORTH: "mall"})
    broker.answer()
    broker.answer()
    broker.control.want({SOUTH: "mall"})
    commands = json.loads(broker.sent[0].payload)["commands"]
    assert commands[0] == {"command": "deleteClient", "username": NORTH.hex()}
    broker.answer()
    assert set(broker.devices()) == {SOUTH.hex()}


def test_a_device_that_moved_gets_another_role(broker):
    broker.control.connected()
    broker.control.want({NORTH: "mall"})
    broker.answer()
    broker.answer()
    broker.control.want({NORTH: "station"})
    broker.answer()
    assert broker.devices() == {NORTH.hex(): role_name(NORTH, "station")}
    assert role_name(NORTH, "mall") not in broker.roles


def test_many_devices_fit_into_the_brokers_packets(broker):
    many = {index.to_bytes(8, "big"): "p" * 32 for index in range(1, 501)}
    broker.control.connected()
    broker.control.want(many)
    broker.answer()
    assert len(broker.devices()) == 500
    broker.clients.pop((7).to_bytes(8, "big").hex())
    broker.control.connected()
    broker.answer()
    assert len(broker.devices()) == 500


def test_a_change_while_the_broker_is_away_is_made_when_it_is_back(broker):
    broker.control.connected()
    broker.answer()
    broker.up = False
    broker.control.want({NORTH: "mall"})
    assert not broker.control.settled
    broker.up = True
    broker.control.connected()
    broker.answer()
    broker.answer()
    assert set(broker.devices()) == {NORTH.hex()}


def test_a_command_that_was_refused_is_looked_into_again(broker):
    broker.control.connected()
    broker.answer()
    broker.control.want({NORTH: "mall"})
    broker.sent.clear()
    broker.control.take(b'{"responses": [{"command": "createRole", "error": "Internal error"}]}')
    assert not broker.control.settled
    broker.control.look()
    broker.answer()
    broker.answer()
    assert set(broker.devices()) == {NORTH.hex()}


def test_the_answer_to_an_older_question_undoes_nothing(broker):
    broker.control.connected()
    broker.control.want({NORTH: "mall"})
    broker.control.look()
    older, newer = broker.sent
    broker.sent.clear()
    empty = {"totalCount": 1, "clients": [{"username": "hub", "roles": [{"rolename": "hub"}]}]}
    for asked in (newer, older):
        question = json.loads(asked.payload)["commands"][0]["correlationData"]
        said = {"command": "listClients", "correlationData": question, "data": empty}
        broker.control.take(json.dumps({"responses": [said]}).encode())
    broker.answer()
    assert broker.devices() == {NORTH.hex(): role_name(NORTH, "mall")}


def test_a_device_that_somebody_else_entered_meanwhile_gets_its_role_all_the_same(broker):
    broker.control.connected()
    broker.answer()
    broker.clients[NORTH.hex()] = []
    broker.control.want({NORTH: "mall"})
    broker.answer()
    broker.control.look()
    broker.answer()
    assert broker.devices() == {NORTH.hex(): role_name(NORTH, "mall")}
    assert broker.control.settled


def test_a_revocation_that_found_no_room_on_the_connection_is_told_with_the_next_look(broker):
    broker.control.connected()
    broker.control.want({NORTH: "mall"})
    broker.answer()
    broker.up = False
    broker.control.want({})
    broker.up = True
    broker.control.look()
    broker.answer()
    assert broker.devices() == {}


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"null", b"[]", b'{"responses": 3}', b'{"responses": [3]}', b"\xff", b"[" * 100_000, b" " * 5_000_000),
        *(
            b'{"responses": [{"command": "listClients", "correlationData": "1", "data": {"clients": [%s]}}]}' % client
            for client in (b"{}", b"3", b'"x"', b"[]")
        ),
        *(
            b'{"responses": [{"command": "listClients", "correlationData": "1", "data": %s}]}' % page
            for page in (b'{"totalCount": Infinity, "clients": [{"username": "x"}]}', b'{"totalCount": 1e400}')
        ),
    ],
)
def test_an_answer_that_cannot_be_read_changes_nothing(broker, answer):
    broker.control.connected()
    broker.control.want({NORTH: "mall"})
    broker.sent.clear()
    broker.control.take(answer)
    assert broker.sent == []
