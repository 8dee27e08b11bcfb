package deploy_test

import (
	"os/exec"
	"testing"
)

// TestSessions runs the tests of the Lambda function that mirrors auto scaling groups.
func TestSessions(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3" // Debian's, which has its packages
	needs(t, exec.Command(python, "-c", "import boto3").Run() == nil, "python3-boto3")
	command(t, "aws", python, "-B", "sessions_test.py")
}
