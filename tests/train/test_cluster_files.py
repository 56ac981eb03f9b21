"""Promises of the examples for clusters: fields that exist, one version, commands that make has."""

import re
from typing import Any

import yaml

from tests.support.places import ROOT

FOLDER = ROOT / "train" / "cluster"
# https://github.com/ray-project/kuberay/blob/master/docs/reference/api.md, as of 2026-11
JOB = {
    *("activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "submitterPodTemplate"),
    *("metadata", "clusterSelector", "submitterConfig", "managedBy", "deletionStrategy"),
    *("entrypoint", "runtimeEnvYAML", "jobId", "submissionMode", "entrypointResources"),
    *("entrypointNumCpus", "entrypointNumGpus", "ttlSecondsAfterFinished"),
    *("shutdownAfterJobFinishes", "suspend"),
}
CLUSTER = {
    *("suspend", "managedBy", "autoscalerOptions", "headServiceAnnotations"),
    *("enableInTreeAutoscaling", "gcsFaultToleranceOptions", "headGroupSpec", "rayVersion"),
    "workerGroupSpecs",
}
AUTOSCALER = {"resources", "image", "imagePullPolicy", "idleTimeoutSeconds", "upscalingMode"}
HEAD = {"template", "headService", "enableIngress", "rayStartParams", "serviceType"}
WORKERS = {
    *("suspend", "groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams"),
    *("template", "scaleStrategy", "numOfHosts"),
}


def job() -> dict[str, Any]:
    claim, found = yaml.safe_load_all((FOLDER / "kuberay.yaml").read_text("utf-8"))
    assert claim["kind"] == "PersistentVolumeClaim"
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayJob")
    return dict(found["spec"])


def version() -> str:
    lock = (ROOT / "train" / "locks" / "cluster.txt").read_text("utf-8")
    found = re.search(r"^ray==(\S+)", lock, re.MULTILINE)
    assert found
    return found[1]


def test_kuberay_knows_every_field() -> None:
    spec = job()
    cluster = spec["rayClusterSpec"]
    assert spec.keys() <= JOB and cluster.keys() <= CLUSTER
    assert cluster["autoscalerOptions"].keys() <= AUTOSCALER
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert groups[0].keys() <= HEAD and all(group.keys() <= WORKERS for group in groups[1:])
    for group in groups:
        # KubeRay takes texts alone there.
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        volumes = {volume["name"] for volume in group["template"]["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_all_examples_are_of_the_locked_version() -> None:
    cluster = job()["rayClusterSpec"]
    images = re.findall(r"fieldguide-ray:(\S+)", (FOLDER / "kuberay.yaml").read_text("utf-8"))
    images += re.findall(r"fieldguide-ray:(\S+)", (FOLDER / "Dockerfile").read_text("utf-8"))
    assert set(images) == {cluster["rayVersion"]} == {version()}


def test_no_example_sends_usage_statistics() -> None:
    for name in ("ray-up.yaml", "kuberay.yaml"):
        assert "RAY_USAGE_STATS_ENABLED" in (FOLDER / name).read_text("utf-8")
    commands = (FOLDER / "ray-up.yaml").read_text("utf-8")
    assert len(re.findall(r"RAY_USAGE_STATS_ENABLED=0 \S+/ray start", commands)) == 2


def test_the_job_runs_make_with_variables_that_it_has() -> None:
    make = (ROOT / "Makefile").read_text("utf-8")
    given = re.findall(r"\b([A-Z_]+)=", job()["entrypoint"])
    assert {"ENGINE", "RAY_ADDRESS", "DATA", "BUILD"} == set(given)
    assert all(re.search(rf"^{name} \?=", make, re.MULTILINE) for name in given)
