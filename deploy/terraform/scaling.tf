# ---- sessions that follow auto scaling groups, where there are some -------

locals {
  scaling = length(var.source_auto_scaling_groups) > 0 ? 1 : 0
}

data "aws_partition" "current" {}

data "archive_file" "sessions" {
  count = local.scaling

  type        = "zip"
  source_file = "${path.module}/../aws/sessions.py"
  output_path = "${path.module}/sessions.zip"
}

resource "aws_lambda_function" "sessions" {
  count = local.scaling

  function_name    = "${var.name}-sessions"
  description      = "Mirrors the instances of ${join(", ", var.source_auto_scaling_groups)}"
  role             = aws_iam_role.sessions[0].arn
  runtime          = "python3.13"
  handler          = "sessions.handler"
  filename         = data.archive_file.sessions[0].output_path
  source_code_hash = data.archive_file.sessions[0].output_base64sha256
  timeout          = 60

  # Two at a time would make two sessions for an interface.
  reserved_concurrent_executions = 1

  environment {
    variables = {
      NAME           = var.name
      GROUPS         = join(",", var.source_auto_scaling_groups)
      FILTER_ID      = aws_ec2_traffic_mirror_filter.service.id
      TARGET_ID      = aws_ec2_traffic_mirror_target.netmirror.id
      VNI            = var.vni
      SESSION_NUMBER = var.session_number
    }
  }
}

# An instance has come or gone.
resource "aws_cloudwatch_event_rule" "scaling" {
  count = local.scaling

  name = "${var.name}-scaling"
  event_pattern = jsonencode({
    source      = ["aws.autoscaling"]
    detail-type = ["EC2 Instance Launch Successful", "EC2 Instance Terminate Successful", "EC2 Instance Detach Successful"]
    detail      = { AutoScalingGroupName = var.source_auto_scaling_groups }
  })
}

# Events are delivered at best effort; this finds what they have missed.
resource "aws_cloudwatch_event_rule" "schedule" {
  count = local.scaling

  name                = "${var.name}-schedule"
  schedule_expression = "rate(5 minutes)"
}

locals {
  rules = local.scaling == 0 ? {} : {
    scaling  = aws_cloudwatch_event_rule.scaling[0]
    schedule = aws_cloudwatch_event_rule.schedule[0]
  }
}

resource "aws_cloudwatch_event_target" "sessions" {
  for_each = local.rules

  rule = each.value.name
  arn  = aws_lambda_function.sessions[0].arn
}

resource "aws_lambda_permission" "events" {
  for_each = local.rules

  statement_id  = each.key
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.sessions[0].function_name
  principal     = "events.amazonaws.com"
  source_arn    = each.value.arn
}

resource "aws_iam_role" "sessions" {
  count = local.scaling

  name = "${var.name}-sessions"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "sessions" {
  count = local.scaling

  name = "sessions"
  role = aws_iam_role.sessions[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["ec2:DescribeInstances", "ec2:DescribeTrafficMirrorSessions"]
        Resource = "*" # these two know no other
      },
      {
        Effect = "Allow"
        Action = "ec2:CreateTrafficMirrorSession"
        Resource = [
          aws_ec2_traffic_mirror_filter.service.arn,
          aws_ec2_traffic_mirror_target.netmirror.arn,
          "arn:${data.aws_partition.current.partition}:ec2:*:*:network-interface/*",
          "arn:${data.aws_partition.current.partition}:ec2:*:*:traffic-mirror-session/*",
        ]
      },
      {
        Effect    = "Allow"
        Action    = "ec2:CreateTags"
        Resource  = "arn:${data.aws_partition.current.partition}:ec2:*:*:traffic-mirror-session/*"
        Condition = { StringEquals = { "ec2:CreateAction" = "CreateTrafficMirrorSession" } }
      },
      {
        Effect    = "Allow"
        Action    = "ec2:DeleteTrafficMirrorSession"
        Resource  = "arn:${data.aws_partition.current.partition}:ec2:*:*:traffic-mirror-session/*"
        Condition = { StringEquals = { "aws:ResourceTag/netmirror:sessions" = var.name } }
      },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.sessions[0].arn}:*"
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "sessions" {
  count = local.scaling

  name              = "/aws/lambda/${var.name}-sessions"
  retention_in_days = 30
}
