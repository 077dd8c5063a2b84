"""Serializers: how savers turn values into bytes."""
