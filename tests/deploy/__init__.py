"""What deploys Outlast: images, the local stack, the template."""
