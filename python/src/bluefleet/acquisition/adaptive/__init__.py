"""Adaptive scans: a recommender decides after each run where the next one measures.

    plan ─▶ run's documents ─▶ spool ═ forwarder ⇒ Kafka ⇒ recommender service ─▶ Redis ─▶ plan

A campaign is one adaptive scan. Each of its runs says in its start document which campaign it belongs to, which number
it has, where it measures and which recommender decides with which arguments; so nobody has to be told beforehand.
"""
