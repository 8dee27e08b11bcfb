output "private_ips" {
  description = "Where the netmirrors are: http://ADDRESS:9090/metrics for Prometheus."
  value       = aws_instance.netmirror[*].private_ip
}

output "mirror_target_id" {
  value = aws_ec2_traffic_mirror_target.netmirror.id
}

output "mirror_session_ids" {
  description = "By network interface."
  value       = { for eni, session in aws_ec2_traffic_mirror_session.source : eni => session.id }
}
