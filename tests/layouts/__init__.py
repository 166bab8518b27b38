"""Repositories of every layout that is served or refused, made from nothing, with what becomes of them."""
