"""What Prometheus is promised: names, units and values that its own rules and parser accept."""

import http.client
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from device.contract.look.rules import Seen
from device.drift.sample import Family
from device.drift.status import DriftStatus, Estimate, FamilyStatus
from device.errors import OutputError
from device.outputs.http.exchange import MAX_BODY_BYTES
from device.outputs.prometheus import MAX_LABELS, Prometheus
from device.outputs.web.sink import Web
from device.settings.sections import PrometheusConfig
from device.telemetry.counters import Telemetry
from device.telemetry.observation import NOTHING
from device.telemetry.status import BoardStatus
from device.telemetry.updates import SoftwareStatus, UpdateStatus
from tests.support.device.observations import MODEL, Surroundings, sight
from tests.support.device.serving import served
from tests.support.device.visits import visit
from tests.support.timing import eventually

BASE_UNITS = ("seconds", "celsius", "ratio", "hertz", "bytes")


@pytest.fixture
def metrics(surroundings: Surroundings) -> Iterator[Prometheus]:
    config = PrometheusConfig(enabled=True, port=0)
    with served(Prometheus(surroundings.context(prometheus=config)), surroundings) as metrics:
        yield metrics


def get(metrics: Prometheus, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
    client = http.client.HTTPConnection("127.0.0.1", metrics.port, timeout=10)
    client.request(method, path)
    response = client.getresponse()
    return response.status, response.read().decode()


def samples(metrics: Prometheus) -> list[Sample]:
    status, text = get(metrics)
    assert status == 200
    return [s for family in text_string_to_metric_families(text) for s in family.samples]


def values(metrics: Prometheus) -> dict[str, float]:
    """Value by name, with the value of its one label where it has one."""
    return {
        s.name.removeprefix("fieldguide_") + "".join(f" {v}" for v in s.labels.values()): s.value
        for s in samples(metrics)
        if s.name != "fieldguide_info"
    }


def test_values_are_the_service_s_own(surroundings: Surroundings, metrics: Prometheus) -> None:
    telemetry = surroundings.telemetry
    for _ in range(2):
        telemetry.camera.lost("it hangs", stalled=True)
    telemetry.camera.streams(again=True)
    telemetry.camera.frames(3, captured_s=time.monotonic(), size_px=None, dropped=2, lag_s=1.5)
    telemetry.camera.corrupt_frame()
    telemetry.board(BoardStatus(temperature_c=61.5, throttled=0x50005, slowed=True))
    mqtt = telemetry.start_sink("mqtt")
    mqtt.dropped(5, lost_changes=2)
    mqtt.delivered()
    for _ in range(3):
        mqtt.failed("no broker")
    for number in range(4):
        telemetry.inferred(sight(number))
    metrics.publish(sight(4, label=1))
    found = values(metrics)
    assert found["invoke_seconds_count"] == 4
    assert found["invoke_seconds_sum"] == pytest.approx(4 * 0.004)
    assert found["latency_seconds_sum"] == pytest.approx(4 * 0.006)
    assert found["camera_frames_total"] == 4 and found["camera_dropped_frames_total"] == 2
    assert found["camera_stalls_total"] == 2 and found["camera_reconnects_total"] == 1
    assert found["camera_corrupt_frames_total"] == 1
    assert found["camera_lag_seconds"] == 1.5
    assert found["camera_up"] == 1 and 0 <= found["camera_frame_age_seconds"] < 60
    assert found["board_temperature_celsius"] == 61.5 and found["board_slowed"] == 1
    assert found["board_throttled under-voltage"] == 1
    assert found["board_throttled frequency capped"] == 0
    assert found["board_throttled_since_boot throttled"] == 1
    assert found["output_up mqtt"] == 0 and found["output_errors_total mqtt"] == 3
    assert found["output_dropped_total mqtt"] == 5 and found["output_lost_changes_total mqtt"] == 2
    assert found["output_delivered_total mqtt"] == 1
    assert found["label green"] == 1 and "label red" not in found
    assert found["score_ratio green"] == pytest.approx(0.8)
    assert found["model_refused"] == found["settings_refused"] == 0


def test_info_tells_version_and_hash(surroundings: Surroundings, metrics: Prometheus) -> None:
    (info,) = (s for s in samples(metrics) if s.name == "fieldguide_info")
    assert info.value == 1
    assert info.labels["version"] == surroundings.status().version
    assert info.labels["model_sha256"] == MODEL.sha256


def test_names_follow_the_conventions(surroundings: Surroundings, metrics: Prometheus) -> None:
    surroundings.telemetry.board(BoardStatus(temperature_c=50.0, throttled=0))
    metrics.publish(sight(0))
    _, text = get(metrics)
    for family in text_string_to_metric_families(text):
        assert family.name.startswith(("fieldguide", "process"))
        assert family.documentation
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
            assert not any(u in sample.name for u in ("_ms", "milli", "percent", "fps"))
            if family.name.endswith("_ratio"):
                assert 0 <= sample.value <= 1
            if family.type == "summary":
                assert family.name.rpartition("_")[2] in BASE_UNITS


def test_each_visit_that_has_ended_counts_once_for_its_label(metrics: Prometheus) -> None:
    for number, label in enumerate(("wren", "robin", "wren", *map(str, range(2 * MAX_LABELS)))):
        one = visit(label=label)
        going = replace(one, end_unix_s=None)
        metrics.publish(sight(number, visit=going, visit_changed=True))
        metrics.publish(sight(number, visit=going))
        metrics.publish(sight(number, visit=one, visit_changed=True))
    found = values(metrics)
    assert (found["visits_total wren"], found["visits_total robin"]) == (2, 1)
    counts = [s.value for s in samples(metrics) if s.name == "fieldguide_visits_total"]
    assert sum(counts) == 2 * MAX_LABELS + 3 and len(counts) == MAX_LABELS + 1


def test_what_is_there_is_told_where_frames_are_looked_at(metrics: Prometheus) -> None:
    metrics.publish(sight(0))
    assert not [name for name in values(metrics) if name.startswith("seen")]
    metrics.publish(replace(sight(1, seen=Seen.NOTHING), label=NOTHING, score=0.0, top=()))
    found = values(metrics)
    assert found["seen nothing"] == 1 and "seen something" not in found
    assert found["label nothing"] == 1


def test_frames_make_no_new_series(metrics: Prometheus) -> None:
    counts = set()
    for number in range(50):
        metrics.publish(sight(number, label=number % 3))
        counts.add(len(samples(metrics)))
    assert len(counts) == 1


def test_many_classes_make_a_bounded_number_of_series(metrics: Prometheus) -> None:
    labels = tuple(f"class {i}" for i in range(1000))
    scores = np.linspace(0, 1, 1000, dtype=np.float32)
    observation = sight(0, label=None)
    model = replace(MODEL, labels=labels)
    metrics.publish(replace(observation, model=model, smoothed=scores, scores=scores))
    ratios = [s for s in samples(metrics) if s.name == "fieldguide_score_ratio"]
    assert len(ratios) == MAX_LABELS
    assert min(s.value for s in ratios) >= scores[-MAX_LABELS]


def test_each_label_s_changes_are_counted_in_a_bounded_number_of_series(
    metrics: Prometheus,
) -> None:
    for number, label in enumerate([0, 1, 1, None, 1]):
        metrics.publish(sight(number, label, changed=number != 2))
    found = values(metrics)
    assert found["label_changes_total red"] == 1 and found["label_changes_total green"] == 2
    assert found["label_changes_total unknown"] == 1
    for number in range(2 * MAX_LABELS):
        metrics.publish(replace(sight(number, changed=True), label=f"class {number}"))
    counts = [s.value for s in samples(metrics) if s.name == "fieldguide_label_changes_total"]
    assert len(counts) == MAX_LABELS + 1 and sum(counts) == 4 + 2 * MAX_LABELS


def test_drift_is_told_by_family_and_accuracy_only_while_scores_mean_what_they_say(
    surroundings: Surroundings, metrics: Prometheus
) -> None:
    assert not any("drift" in name for name in values(metrics))
    families = {family: FamilyStatus() for family in Family}
    accuracy = Estimate(0.91, 0.88, 0.94, 7)
    surroundings.telemetry.drift(DriftStatus(7, 7, families, accuracy))
    found = values(metrics)
    assert found["drift camera"] == 0 and found["drift_alarm world"] == 0
    assert found["estimated_accuracy_ratio"] == 0.91 and found["drift_learned_days"] == 7
    families[Family.CAMERA] = FamilyStatus(1.5, True, "2026-11-26", "blurred", "clean the lens")
    surroundings.telemetry.drift(DriftStatus(7, 7, families, accuracy))
    found = values(metrics)
    assert (found["drift camera"], found["drift_alarm camera"]) == (1.5, 1)
    assert "estimated_accuracy_ratio" not in found


def test_releases_are_told_only_where_they_are_fetched(
    surroundings: Surroundings, metrics: Prometheus
) -> None:
    assert not any("update" in name for name in values(metrics))
    own = SoftwareStatus(installed=4, latest=5, failed=("3: a fault",))
    told = UpdateStatus(
        name="birds", installed=2, latest=3, checked_unix_s=1.8e9, expired=True, software=own
    )
    surroundings.telemetry.update(told)
    found = values(metrics)
    assert found["update_installed_release"] == 2 and found["update_latest_release"] == 3
    assert found["update_expired"] == 1 and found["update_time_verified"] == 0
    assert found["update_away"] == 0
    surroundings.telemetry.update(replace(told, away="the stick"))
    assert values(metrics)["update_away"] == 1
    assert found["update_checked_timestamp_seconds"] == 1.8e9
    assert found["software_installed_release"] == 4 and found["software_latest_release"] == 5
    assert found["software_failed_release"] == 3 and found["software_problem"] == 0


def test_sinks_have_figures_of_their_own(
    surroundings: Surroundings, metrics: Prometheus, page: Web
) -> None:
    page._viewers.admit("0" * 16)
    sink = surroundings.run(page)
    try:
        eventually(lambda: values(metrics).get("web_viewers") == 1)
    finally:
        sink.start_closing()
        assert sink.join(30)
    collect = surroundings.telemetry.start_sink("collect")
    collect.figures({"photos_saved_total": 3, "used_bytes": 4096})
    found = values(metrics)
    assert found["collect_photos_saved_total"] == 3 and found["collect_used_bytes"] == 4096


def test_memory_and_processor_time_are_the_process_s(metrics: Prometheus) -> None:
    found = values(metrics)
    assert found["process_resident_memory_bytes"] > 10_000_000
    assert found["process_cpu_seconds_total"] > 0


def test_a_label_may_have_any_signs(metrics: Prometheus) -> None:
    strange = 'a"b\\c\nd é'
    labels = (strange, *MODEL.labels[1:])
    metrics.publish(sight(0, model=replace(MODEL, labels=labels)))
    found = [s for s in samples(metrics) if s.name == "fieldguide_label"]
    assert [s.labels["label"] for s in found] == [strange]


def test_a_lost_camera_has_no_label(surroundings: Surroundings, metrics: Prometheus) -> None:
    metrics.publish(sight(0))
    assert "label red" in values(metrics)
    surroundings.telemetry.camera.lost("unplugged")
    found = values(metrics)
    assert found["camera_up"] == 0
    assert not any(name.startswith(("label", "score_ratio")) for name in found)


def test_before_the_first_model_there_are_metrics_too(
    surroundings: Surroundings, metrics: Prometheus
) -> None:
    surroundings.telemetry = Telemetry()
    assert values(metrics)["camera_up"] == 0


def test_there_is_nothing_else(metrics: Prometheus) -> None:
    assert get(metrics, "/")[0] == 404
    assert get(metrics, "/metrics", "POST")[0] == 405
    client = http.client.HTTPConnection("127.0.0.1", metrics.port, timeout=10)
    client.request("GET", "/metrics", headers={"Host": "evil.example"})
    assert client.getresponse().status == 421


def test_on_the_network_it_needs_the_token(surroundings: Surroundings) -> None:
    token = "0123456789abcdef"
    config = PrometheusConfig(address="0.0.0.0", port=0, token=token)
    with served(Prometheus(surroundings.context(prometheus=config)), surroundings) as metrics:
        assert get(metrics)[0] == 401
        client = http.client.HTTPConnection("127.0.0.1", metrics.port, timeout=10)
        client.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
        assert client.getresponse().status == 200


def test_a_stranger_gets_no_more_of_its_server_than_of_the_page_s(
    surroundings: Surroundings,
) -> None:
    config = PrometheusConfig(address="0.0.0.0", port=0, token="0123456789abcdef")
    with served(Prometheus(surroundings.context(prometheus=config)), surroundings) as metrics:
        client = http.client.HTTPConnection("127.0.0.1", metrics.port, timeout=10)
        client.putrequest("POST", "/metrics")
        client.putheader("Content-Length", str(MAX_BODY_BYTES + 1))
        client.endheaders()
        assert client.getresponse().status == 413


def test_a_taken_port_is_reported_and_tried_again(
    surroundings: Surroundings, metrics: Prometheus
) -> None:
    config = PrometheusConfig(enabled=True, port=metrics.port)
    second = Prometheus(surroundings.context(prometheus=config))
    with pytest.raises(OutputError, match="in use"):
        second.tick(surroundings.status())
    metrics.close()
    second.tick(surroundings.status())
    assert values(second)["camera_up"] == 1
    second.close()
