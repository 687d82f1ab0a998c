"""What the control plane controls: load balancer, fleet, application and traffic, as real processes on loopback."""
