"""The gateway in the user's own AWS account: Lambda in front, DynamoDB and Secrets Manager behind."""
