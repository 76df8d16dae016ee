"""Run with: pytest"""
