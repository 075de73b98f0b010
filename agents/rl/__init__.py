"""Reinforcement learning: PPO inside Stable-Baselines3, and the published system."""
