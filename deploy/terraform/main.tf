locals {
  http_port   = 9090
  vxlan_port  = 4789
  target_port = tonumber(regex(":([0-9]+)$", var.to)[0])

  # The other end of a rule: all addresses of the same family.
  anybody = [for cidr in var.client_cidr_blocks : strcontains(cidr, ":") ? "::/0" : "0.0.0.0/0"]
}

# ---- the mirror ----------------------------------------------------------

resource "aws_ec2_traffic_mirror_filter" "service" {
  description = "${var.name}: TCP port ${var.service_port}"
}

# From the clients: what netmirror forwards.
resource "aws_ec2_traffic_mirror_filter_rule" "requests" {
  count = length(var.client_cidr_blocks)

  traffic_mirror_filter_id = aws_ec2_traffic_mirror_filter.service.id
  description              = "requests"
  traffic_direction        = "ingress"
  rule_number              = 100 + count.index
  rule_action              = "accept"
  protocol                 = 6
  source_cidr_block        = var.client_cidr_blocks[count.index]
  destination_cidr_block   = local.anybody[count.index]

  destination_port_range {
    from_port = var.service_port
    to_port   = var.service_port
  }
}

# To the clients. netmirror does without: with it, it knows sooner that a packet is lost, and that the server has
# reset a connection. It costs as much of the hosts' bandwidth as the answers have bytes.
resource "aws_ec2_traffic_mirror_filter_rule" "answers" {
  count = length(var.client_cidr_blocks)

  traffic_mirror_filter_id = aws_ec2_traffic_mirror_filter.service.id
  description              = "answers"
  traffic_direction        = "egress"
  rule_number              = 100 + count.index
  rule_action              = "accept"
  protocol                 = 6
  source_cidr_block        = local.anybody[count.index]
  destination_cidr_block   = var.client_cidr_blocks[count.index]

  source_port_range {
    from_port = var.service_port
    to_port   = var.service_port
  }
}

resource "aws_ec2_traffic_mirror_target" "netmirror" {
  description               = var.name
  network_interface_id      = var.use_nlb ? null : aws_instance.netmirror[0].primary_network_interface_id
  network_load_balancer_arn = var.use_nlb ? aws_lb.mirror[0].arn : null

  # A session whose target cannot take its packets yet mirrors into the void.
  depends_on = [aws_lb_listener.mirror]
}

resource "aws_ec2_traffic_mirror_session" "source" {
  for_each = toset(var.source_network_interface_ids)

  description              = "${var.name}: ${each.key}"
  network_interface_id     = each.key
  session_number           = var.session_number
  traffic_mirror_filter_id = aws_ec2_traffic_mirror_filter.service.id
  traffic_mirror_target_id = aws_ec2_traffic_mirror_target.netmirror.id
  virtual_network_id       = var.vni
  # No packet_length: what it cuts is lost with its stream.
}

# ---- netmirror -----------------------------------------------------------

resource "aws_security_group" "netmirror" {
  name        = var.name
  description = "${var.name}: the mirror in, the shadow service out"
  vpc_id      = var.vpc_id

  ingress {
    description = "the mirror"
    protocol    = "udp"
    from_port   = local.vxlan_port
    to_port     = local.vxlan_port
    cidr_blocks = var.source_cidr_blocks
  }

  dynamic "ingress" {
    for_each = length(var.monitoring_cidr_blocks) > 0 ? [1] : []

    content {
      description = "metrics, health, the status page"
      protocol    = "tcp"
      from_port   = local.http_port
      to_port     = local.http_port
      cidr_blocks = var.monitoring_cidr_blocks
    }
  }

  egress {
    description = "the shadow service"
    protocol    = "tcp"
    from_port   = local.target_port
    to_port     = local.target_port
    cidr_blocks = var.target_cidr_blocks
  }

  # For the package, at the first start alone. The VPC's own name server needs no rule.
  egress {
    description = "packages"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_instance" "netmirror" {
  count = var.instance_count

  ami                    = var.ami_id
  instance_type          = var.instance_type
  subnet_id              = var.subnet_ids[count.index % length(var.subnet_ids)]
  vpc_security_group_ids = [aws_security_group.netmirror.id]

  user_data_replace_on_change = true
  user_data = templatefile("${path.module}/user_data.sh.tftpl", {
    package_url    = var.package_url
    package_sha256 = var.package_sha256
    vni            = var.vni
    service_port   = var.service_port
    to             = var.to
    http_port      = local.http_port
  })

  metadata_options {
    http_tokens = "required"
  }

  tags = {
    Name = var.name
  }

  lifecycle {
    precondition {
      condition     = var.instance_count == 1 || var.use_nlb
      error_message = "A network interface is one host's: more than one instance takes use_nlb = true."
    }
  }
}

# ---- the load balancer, where there is one --------------------------------

resource "aws_lb" "mirror" {
  count = var.use_nlb ? 1 : 0

  name               = var.name
  internal           = true
  load_balancer_type = "network"
  subnets            = var.subnet_ids

  # The hosts of a zone without a netmirror are mirrored too.
  enable_cross_zone_load_balancing = true
}

resource "aws_lb_target_group" "mirror" {
  count = var.use_nlb ? 1 : 0

  name        = var.name
  vpc_id      = var.vpc_id
  target_type = "instance"
  protocol    = "UDP"
  port        = local.vxlan_port

  # UDP itself cannot be checked: netmirror's --http is asked whether it captures.
  health_check {
    protocol            = "HTTP"
    port                = local.http_port
    path                = "/readyz"
    matcher             = "200"
    interval            = 10
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_target_group_attachment" "mirror" {
  count = var.use_nlb ? var.instance_count : 0

  target_group_arn = aws_lb_target_group.mirror[0].arn
  target_id        = aws_instance.netmirror[count.index].id
  port             = local.vxlan_port
}

resource "aws_lb_listener" "mirror" {
  count = var.use_nlb ? 1 : 0

  load_balancer_arn = aws_lb.mirror[0].arn
  protocol          = "UDP"
  port              = local.vxlan_port

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.mirror[0].arn
  }
}
