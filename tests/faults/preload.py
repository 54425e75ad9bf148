"""What every job imports, for the process that jobs are forked from; nothing is opened here."""

import pyspark.sql.connect.session

import jobs.build_passenger_flow
import jobs.build_road_traffic
import jobs.fuse_places
import jobs.ingest_deliveries
import jobs.release_extracts
from ronghe.contracts import catalogue

catalogue()

__all__ = ["jobs", "pyspark"]
