"""GET IT: device or broker -> readings, durable before acknowledged."""
