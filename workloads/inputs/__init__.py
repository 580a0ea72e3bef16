"""What users write, read so that every fault names its file, line and field."""
