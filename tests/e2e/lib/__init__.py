"""What the end-to-end tests share: a real server in a folder of its own, a client, tokens, applications. Standard library only."""
