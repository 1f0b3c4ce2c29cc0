"""Stages that measure the loss around and between states."""
