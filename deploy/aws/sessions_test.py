"""Tests of sessions.py against the EC2 API's own model, which botocore has: it
refuses calls and answers that the API does not know."""

import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(__file__))
os.environ["AWS_DEFAULT_REGION"] = "eu-central-1"

import boto3
from botocore.stub import Stubber

import sessions

ENVIRONMENT = {"NAME": "shop", "GROUPS": "web,api", "FILTER_ID": "tmf-1", "TARGET_ID": "tmt-1", "VNI": "42"}


def instance(*nics):
    return {
        "NetworkInterfaces": [
            {"NetworkInterfaceId": eni, "Attachment": {"DeviceIndex": device, "NetworkCardIndex": 0}} for eni, device in nics
        ]
    }


def session(eni, number, name="shop"):
    tags = [{"Key": "netmirror:sessions", "Value": name}] if name else []
    return {"NetworkInterfaceId": eni, "TrafficMirrorSessionId": f"tms-{number}", "Tags": tags}


class Sessions(unittest.TestCase):
    def setUp(self):
        self.ec2 = boto3.client("ec2", aws_access_key_id="none", aws_secret_access_key="none")
        self.stub = Stubber(self.ec2)
        self.stub.activate()
        for patch in (mock.patch.dict(os.environ, ENVIRONMENT), mock.patch("boto3.client", return_value=self.ec2)):
            patch.start()
            self.addCleanup(patch.stop)

    def finds(self, instances, have):
        """Has EC2 answer what there is, in pages of one."""
        groups = [
            {"Name": "tag:aws:autoscaling:groupName", "Values": ["web", "api"]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
        self.pages("describe_instances", {"Filters": groups}, [{"Reservations": [{"Instances": [i]}]} for i in instances] or [{"Reservations": []}])
        target = [{"Name": "traffic-mirror-target-id", "Values": ["tmt-1"]}]
        self.pages(
            "describe_traffic_mirror_sessions", {"Filters": target},
            [{"TrafficMirrorSessions": [s]} for s in have] or [{"TrafficMirrorSessions": []}],
        )

    def pages(self, call, asked, answers):
        for n, answer in enumerate(answers):
            if n + 1 < len(answers):
                answer = {**answer, "NextToken": str(n + 1)}
            self.stub.add_response(call, answer, {**asked, **({"NextToken": str(n)} if n else {})})

    @staticmethod
    def wants(eni):
        return {
            "NetworkInterfaceId": eni,
            "TrafficMirrorTargetId": "tmt-1",
            "TrafficMirrorFilterId": "tmf-1",
            "SessionNumber": 1,
            "VirtualNetworkId": 42,
            "Description": f"shop: {eni}",
            "TagSpecifications": [
                {"ResourceType": "traffic-mirror-session", "Tags": [{"Key": "netmirror:sessions", "Value": "shop"}]}
            ],
        }

    def call(self):
        done = sessions.handler({"detail-type": "EC2 Instance Launch Successful"}, None)
        self.stub.assert_no_pending_responses()
        return done

    def test_new_instances_get_a_session_at_their_first_interface(self):
        self.finds([instance(("eni-1", 0)), instance(("eni-3", 1), ("eni-2", 0))], [])
        for eni in ("eni-1", "eni-2"):
            self.stub.add_response("create_traffic_mirror_session", {}, self.wants(eni))
        self.assertEqual(self.call(), {"created": ["eni-1", "eni-2"], "deleted": [], "failed": {}, "mirrored": 2})

    def test_what_is_right_stays(self):
        self.finds([instance(("eni-1", 0)), instance(("eni-2", 0))], [session("eni-1", 1), session("eni-2", 2)])
        self.assertEqual(self.call(), {"created": [], "deleted": [], "failed": {}, "mirrored": 2})

    def test_an_instance_that_has_left_its_group_loses_its_session(self):
        self.finds([], [session("eni-1", 1)])
        self.stub.add_response("delete_traffic_mirror_session", {}, {"TrafficMirrorSessionId": "tms-1"})
        self.assertEqual(self.call()["deleted"], ["eni-1"])

    def test_a_session_that_aws_has_deleted_meanwhile(self):
        self.finds([], [session("eni-1", 1)])
        self.stub.add_client_error("delete_traffic_mirror_session", "InvalidTrafficMirrorSessionId.NotFound")
        self.assertEqual(self.call()["deleted"], [])

    def test_sessions_of_others_are_left_alone(self):
        self.finds([], [session("eni-8", 8, name="other"), session("eni-9", 9, name=None)])
        self.assertEqual(self.call()["deleted"], [])

    def test_one_that_is_refused_keeps_no_other_from_its_session_and_fails_the_call(self):
        self.finds([instance(("eni-1", 0)), instance(("eni-2", 0))], [])
        self.stub.add_client_error("create_traffic_mirror_session", "TrafficMirrorSessionsPerInterfaceLimitExceeded", expected_params=self.wants("eni-1"))
        self.stub.add_response("create_traffic_mirror_session", {}, self.wants("eni-2"))
        with self.assertRaisesRegex(RuntimeError, "eni-1: TrafficMirrorSessionsPerInterfaceLimitExceeded"):
            self.call()
        self.stub.assert_no_pending_responses()


if __name__ == "__main__":
    unittest.main()
