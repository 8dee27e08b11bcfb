variable "name" {
  description = "Name of everything that is made here."
  type        = string
  default     = "netmirror"
}

variable "vpc_id" {
  description = "The VPC that netmirror runs in."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets for netmirror and the load balancer, one in each zone. Without a load balancer the first one is used."
  type        = list(string)
}

variable "source_network_interface_ids" {
  description = "Network interfaces (eni-...) of the hosts of the service, which are mirrored."
  type        = list(string)
  default     = []
}

variable "source_auto_scaling_groups" {
  description = "Names of auto scaling groups, whose instances are mirrored as they come and go."
  type        = list(string)
  default     = []
}

variable "source_cidr_blocks" {
  description = "Addresses of those interfaces: who may send to UDP 4789. As few as possible, because whoever may can make up requests to the target."
  type        = list(string)
}

variable "service_port" {
  description = "TCP port of the mirrored service, as its clients know it."
  type        = number
}

variable "client_cidr_blocks" {
  description = "Clients whose connections are mirrored. Health checks are left out by leaving their subnets out. Each takes two of the 10 rules that a filter has room for."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "vni" {
  description = "VXLAN network identifier of the mirror sessions, 1 to 16777215."
  type        = number
  default     = 42
}

variable "session_number" {
  description = "Where several sessions mirror an interface, the one with the lowest number whose filter matches gets the packet."
  type        = number
  default     = 1
}

variable "to" {
  description = "The shadow service, HOST:PORT."
  type        = string
}

variable "target_cidr_blocks" {
  description = "Addresses of the shadow service: what netmirror may connect to. Nothing of production."
  type        = list(string)
}

variable "use_nlb" {
  description = "Put a network load balancer in front: for several netmirrors, or more sources than a network interface takes. It passes on 8500 bytes of a packet instead of 8947."
  type        = bool
  default     = false
}

variable "instance_count" {
  description = "How many netmirrors; more than 1 takes use_nlb."
  type        = number
  default     = 1
}

variable "instance_type" {
  description = "Size by measurement: docs/aws.md."
  type        = string
  default     = "c7i.large"
}

variable "ami_id" {
  description = "A Debian or Ubuntu image of the instance type's architecture."
  type        = string
}

variable "package_url" {
  description = "Where the instance gets netmirror's deb from, by https."
  type        = string
}

variable "package_sha256" {
  description = "SHA-256 of that deb, in hexadecimal."
  type        = string
}

variable "monitoring_cidr_blocks" {
  description = "Who may read metrics and the status page at port 9090, which shows clients' addresses. The load balancer's health check needs its subnets here."
  type        = list(string)
  default     = []
}
