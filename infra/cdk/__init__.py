"""The CDK app's parts: constructs, one stack module per context, layers."""
