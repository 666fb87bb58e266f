"""Evidence: packages that anyone can verify offline."""
