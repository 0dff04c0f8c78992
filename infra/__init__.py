"""What stands outside the functions: the CDK app's parts and the deployment."""
