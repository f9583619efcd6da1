"""What an operator can ask of this gate, each built from small callables that main gives."""
