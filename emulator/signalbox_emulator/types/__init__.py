"""The table of CloudFormation types: for each, which public API call creates, reads back, changes and deletes it."""
