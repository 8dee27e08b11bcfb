"""Traffic mirror sessions that follow auto scaling groups: a Lambda function.

Each call makes the sessions what they should be: every network interface that
is to be mirrored has one, and no session of ours is left for another one. So a
call that is lost, comes twice, or comes late does no harm; EventBridge calls
it when an instance comes or goes, and every few minutes besides. It must not
run twice at a time, or an interface gets two sessions.

AWS deletes a session with its source's interface. The settings are in the
environment, as Terraform sets them (deploy/terraform/scaling.tf).
"""

import json
import os

import boto3
from botocore.exceptions import ClientError

# The tag that says which sessions are ours: its value is the name of the set.
TAG = "netmirror:sessions"


def handler(event, context):
    """Is called by Lambda; what it returns is for the log. Raises where a session could not be made, so that the call counts as failed."""
    settings = Settings(os.environ)
    done = reconcile(boto3.client("ec2"), settings)
    print(json.dumps({"event": event.get("detail-type", ""), **done}, sort_keys=True))
    if done["failed"]:
        raise RuntimeError("not mirrored: " + ", ".join(f"{eni}: {why}" for eni, why in sorted(done["failed"].items())))
    return done


class Settings:
    """What the function is to do, from environment variables."""

    def __init__(self, env):
        self.name = env["NAME"]
        self.groups = env["GROUPS"].split(",")
        self.filter = env["FILTER_ID"]
        self.target = env["TARGET_ID"]
        self.vni = int(env["VNI"])
        self.number = int(env.get("SESSION_NUMBER", "1"))


def reconcile(ec2, settings):
    """Makes and deletes sessions. Returns the interfaces that got one, those that lost one, and those that could not get one, with the reason."""
    wanted = interfaces(ec2, settings.groups)
    have = sessions(ec2, settings)
    failed = {}
    created = [eni for eni in sorted(wanted - have.keys()) if create(ec2, settings, eni, failed)]
    deleted = [eni for eni in sorted(have.keys() - wanted) if delete(ec2, have[eni])]
    return {"created": created, "deleted": deleted, "failed": failed, "mirrored": len(wanted) - len(failed)}


def interfaces(ec2, groups):
    """The primary interfaces of the groups' instances that run."""
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[
            {"Name": "tag:aws:autoscaling:groupName", "Values": groups},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
    )
    return {
        nic["NetworkInterfaceId"]
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
        for nic in instance.get("NetworkInterfaces", [])
        if nic["Attachment"]["DeviceIndex"] == 0 and nic["Attachment"].get("NetworkCardIndex", 0) == 0
    }


def sessions(ec2, settings):
    """Our sessions, by their source."""
    pages = ec2.get_paginator("describe_traffic_mirror_sessions").paginate(
        Filters=[{"Name": "traffic-mirror-target-id", "Values": [settings.target]}]
    )
    ours = {"Key": TAG, "Value": settings.name}
    return {
        session["NetworkInterfaceId"]: session["TrafficMirrorSessionId"]
        for page in pages
        for session in page["TrafficMirrorSessions"]
        if ours in session.get("Tags", [])
    }


def create(ec2, settings, eni, failed):
    """Makes a session. Where AWS refuses one, the other interfaces get theirs all the same."""
    try:
        # No PacketLength: what it cuts is lost with its stream.
        ec2.create_traffic_mirror_session(
            NetworkInterfaceId=eni,
            TrafficMirrorTargetId=settings.target,
            TrafficMirrorFilterId=settings.filter,
            SessionNumber=settings.number,
            VirtualNetworkId=settings.vni,
            Description=f"{settings.name}: {eni}",
            TagSpecifications=[{"ResourceType": "traffic-mirror-session", "Tags": [{"Key": TAG, "Value": settings.name}]}],
        )
    except ClientError as e:
        failed[eni] = e.response["Error"]["Code"]
        return False
    return True


def delete(ec2, session):
    """Deletes a session, which AWS may have done with its interface."""
    try:
        ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session)
    except ClientError as e:
        if e.response["Error"]["Code"] != "InvalidTrafficMirrorSessionId.NotFound":
            raise
        return False
    return True
