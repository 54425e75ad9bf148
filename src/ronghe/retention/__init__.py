"""What has to go: identifiers and originals when a lateness window closes, rows when their retention ends."""
