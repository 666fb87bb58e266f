import pytest
from services import Mosquitto, listens


@pytest.mark.mosquitto
def test_the_broker_of_the_tests_restarts_on_its_port(mosquitto: Mosquitto):
    mosquitto.stop()
    assert not listens(mosquitto.port)
    mosquitto.start()
    assert listens(mosquitto.port)
