"""Airflow as a service of this machine: started, ended and asked over its REST API; never imported."""
