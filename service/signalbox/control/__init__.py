"""What happens on a request, in one transaction."""
