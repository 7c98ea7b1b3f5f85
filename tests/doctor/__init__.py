"""What doctor finds, each check seen well and broken."""
